"""Sync by thousands: what is certain is decided and written in bulk; everything else goes to the reconciler."""

"""What every adapter gets, whatever its backend is."""

"""Copies of a store in other places, and the repair of what they have missed."""

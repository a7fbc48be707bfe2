"""Routes of the declared tables."""

"""The routes of the declared tables."""

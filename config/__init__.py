"""Settings and the declared tables. Imports nothing of the project."""

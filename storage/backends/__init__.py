"""The backends of stores, one folder or module for each place."""

"""Moves an application from one database to another while it runs: check, copy, follow, verify, cut over, and back."""

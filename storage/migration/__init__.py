"""Entries from one store into another one, and the places of stores as text."""

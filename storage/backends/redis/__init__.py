"""Entries in Redis: a hash for each key, and the keys in their order."""

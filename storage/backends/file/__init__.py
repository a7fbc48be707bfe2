"""Entries as JSON files that people can read: one for each key, in one folder."""

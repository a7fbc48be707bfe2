"""Writes of records that need each other: in which order, and how those in a ring are carried out."""

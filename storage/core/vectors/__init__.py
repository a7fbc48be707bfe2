"""Vectors: how they are compared, and searches with filters."""

"""Declared tables: schema, values, rows and access rules."""

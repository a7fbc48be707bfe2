"""Schemas of databases: migrations, reflection, Convex."""

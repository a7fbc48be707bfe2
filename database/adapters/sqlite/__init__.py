"""A SQLite file on the local disk."""

from database.adapters.sqlite.adapter import SQLiteAdapter

__all__ = ["SQLiteAdapter"]

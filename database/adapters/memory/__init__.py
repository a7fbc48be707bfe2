"""Tables in memory: the reference for the portable query, and a backend for tests."""

from database.adapters.memory.adapter import MemoryAdapter

__all__ = ["MemoryAdapter"]

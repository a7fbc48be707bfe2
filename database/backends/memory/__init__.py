"""In-memory tables: the reference implementation of the portable query, and a backend for tests."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.backends.memory.adapter import MemoryAdapter
else:
    __getattr__ = on_first_use(__name__, {"MemoryAdapter": "adapter"})

__all__ = ["MemoryAdapter"]

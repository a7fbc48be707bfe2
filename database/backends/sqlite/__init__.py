"""SQLite, in a file on the local disk."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.backends.sqlite import alchemy
    from database.backends.sqlite import errors
    from database.backends.sqlite.adapter import SQLiteAdapter
else:
    __getattr__ = on_first_use(__name__, {"SQLiteAdapter": "adapter", "alchemy": "alchemy", "errors": "errors"})

__all__ = ["SQLiteAdapter", "alchemy", "errors"]

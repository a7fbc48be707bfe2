"""The change log of SQL databases: its tables, and the triggers that write it."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.schema.migrations.capture import postgres
    from database.schema.migrations.capture import sqlite
else:
    __getattr__ = on_first_use(__name__, {"postgres": "postgres", "sqlite": "sqlite"})

__all__ = ["postgres", "sqlite"]

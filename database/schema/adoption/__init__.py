"""Declarations for the tables of a database that was there before Isthmus; loaded on first use."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.schema.adoption import adopting
    from database.schema.adoption import installing
    from database.schema.adoption import postgres
    from database.schema.adoption import report
    from database.schema.adoption import sqlite
    from database.schema.adoption import writing
else:
    __getattr__ = on_first_use(
        __name__,
        {name: name for name in ("adopting", "installing", "postgres", "report", "sqlite", "writing")},
    )

__all__ = ["adopting", "installing", "postgres", "report", "sqlite", "writing"]

"""Migrations of the declared tables, with Alembic as a library; loaded on first use."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.schema.migrations import runner
    from database.schema.migrations import sql_script
else:
    __getattr__ = on_first_use(__name__, {"runner": "runner", "sql_script": "sql_script"})

__all__ = ["runner", "sql_script"]

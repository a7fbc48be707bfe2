"""SQL text on backends that do not speak SQL: parsed in PostgreSQL's dialect, carried out as operations."""

from database.adapters.translation.translator import run_sql
from database.adapters.translation.translator import translate

__all__ = ["run_sql", "translate"]

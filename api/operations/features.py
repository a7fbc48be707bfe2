"""What is off because Isthmus's own tables were not installed in a database that others made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from database import DatabaseAdapter
from database.schema.migrations.presence import adopted
from database.schema.migrations.presence import missing_tables

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "accounts": ("isthmus_users", "isthmus_identities"),
    "sessions": ("isthmus_sessions", "isthmus_refresh_tokens"),
    "idempotency keys": ("isthmus_idempotency_keys",),
    "two-way sync": ("isthmus_sync_cursors", "isthmus_sync_records", "isthmus_sync_conflicts", "isthmus_sync_failures"),
    "stores": ("isthmus_entries",),
}
"""The tables that each feature needs."""

REMEDY: Final = "run `flask db upgrade`, which installs Isthmus's own tables (`flask db plan` prints the SQL)"


def may_lack_own_tables(adapter: DatabaseAdapter) -> bool:
    """Whether a database serves adopted tables, which it does without Isthmus's own, too."""
    return bool(adopted(adapter))


def features_off(adapter: DatabaseAdapter) -> dict[str, str]:
    """Why each feature is off that is; asks the database once. :raises DataError: if it cannot be asked."""
    lacking = set(missing_tables(adapter))
    missing = {name: [table for table in tables if table in lacking] for name, tables in _NEEDS.items()}
    return {name: f"the table {tables[0]} is missing; {REMEDY}" for name, tables in missing.items() if tables}

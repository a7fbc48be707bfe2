"""The functions that make a commit over Supabase's HTTP interface atomic, and whether a database has them.

Like the access rules, they are state and not history: each upgrade makes them anew.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from database.schema.migrations import row_security

_FILES: Final = (
    "schema.sql",
    "conditions.sql",
    "parties.sql",
    "steps.sql",
    "isthmus_commit.sql",
    "isthmus_groups.sql",
    "grants.sql",
)
_FIND_MARK: Final = sa.text("select obj_description(to_regnamespace('isthmus'), 'pg_namespace')")


@cache
def script() -> str:
    """The SQL that makes them; it may be run again."""
    folder = Path(__file__).parent
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in _FILES)
    return f"{text}\ncomment on schema isthmus is '{_mark(text)}';\n"


def apply(connection: sa.Connection) -> bool:
    """Make the functions on ``connection``'s database; False, and nothing done, where the roles do not exist."""
    if not row_security.has_roles(connection):
        return False
    connection.exec_driver_sql(script(), execution_options={"no_parameters": True})
    return True


def differences(connection: sa.Connection) -> list[str]:
    """A line if the database lacks the functions or has others; none where the roles do not exist."""
    if not row_security.has_roles(connection):
        return []
    found = connection.scalar(_FIND_MARK)
    if found is None:
        return ["isthmus_commit: is missing"]
    return [] if found in script() else ["isthmus_commit: is of another version"]


def _mark(text: str) -> str:
    """What tells one version from another."""
    return f"functions {sha256(text.encode()).hexdigest()}"

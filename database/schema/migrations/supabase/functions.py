"""Installs and checks the functions that make a commit over Supabase's HTTP API atomic.

Like the access rules, they are state, not history: each upgrade creates them again.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from database.schema.migrations import row_security
from database.sql.sequences import PASS
from database.sql.sequences import SEQUENCE

_FILES: Final = (
    "schema.sql",
    "conditions.sql",
    "parties.sql",
    "numbers.sql",
    "stored.sql",
    "steps.sql",
    "isthmus_commit.sql",
    "isthmus_groups.sql",
    "grants.sql",
)
_COLUMN: Final = {"relation": "isthmus.relation(table_name)", "column": "(isthmus.key(table_name))[1]"}
_QUERIES: Final = {"{sequence}": SEQUENCE.format(**_COLUMN), "{pass}": PASS.format(**_COLUMN, key="key")}
_FIND_MARK: Final = sa.text("select obj_description(to_regnamespace('isthmus'), 'pg_namespace')")


@cache
def script() -> str:
    """Repeatable SQL that creates the functions."""
    folder = Path(__file__).parent
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in _FILES)
    for mark, query in _QUERIES.items():
        text = text.replace(mark, query)
    return f"{text}\ncomment on schema isthmus is '{_mark(text)}';\n"


def apply(connection: sa.Connection) -> bool:
    """Create the functions in the database; does nothing and returns False if Supabase's roles do not exist."""
    if not row_security.has_roles(connection):
        return False
    connection.exec_driver_sql(script(), execution_options={"no_parameters": True})
    return True


def differences(connection: sa.Connection) -> list[str]:
    """A line if the functions are missing or from another version; empty if Supabase's roles do not exist."""
    if not row_security.has_roles(connection):
        return []
    found = connection.scalar(_FIND_MARK)
    if found is None:
        return ["isthmus_commit: is missing"]
    return [] if found in script() else ["isthmus_commit: is from another version"]


def _mark(text: str) -> str:
    """A mark that identifies the version of the functions."""
    return f"functions {sha256(text.encode()).hexdigest()}"

"""The tables that migrations create, including those that are no longer declared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy.dialects import postgresql

from database import internal_tables

_NAME: Final = rf'(?:(?:public|{internal_tables.SCHEMA})\.)?("(?:[^"]|"")+"|\w+)'
_MADE: Final = re.compile(
    rf"(?P<verb>create|drop) table (?:if (?:not )?exists )?{_NAME}|alter table {_NAME} rename to {_NAME}", re.IGNORECASE
)
_LITERAL: Final = re.compile(r"""\bcreate_table\(\s*["'](\w+)["']""")


def tables_made(scripts: Iterable[Script]) -> set[str]:
    """The names of the tables that exist after all migrations have run.

    :param scripts: oldest first.
    """
    made: set[str] = set()
    for script in scripts:
        for before, after in _moves(script):
            made.discard(before)
            made.add(after)
    return made - {""}


def rendered(script: Script) -> str:
    """The SQL that a migration would execute on PostgreSQL.

    :raises Exception: raised by the migration itself if it needs a real database.
    """
    output = StringIO()
    context = MigrationContext.configure(
        dialect=postgresql.psycopg.dialect(),  # type: ignore[no-untyped-call]
        opts={"as_sql": True, "output_buffer": output},
    )
    with Operations.context(context):
        script.module.upgrade()
    return output.getvalue().strip()


def _moves(script: Script) -> Iterator[tuple[str, str]]:
    """The table names that a migration removes and adds, as pairs in its order; '' for none."""
    try:
        text = rendered(script)
    except Exception:  # noqa: BLE001  # a migration that reads rows may fail in any way; its source is searched instead
        yield from (("", name) for name in _LITERAL.findall(Path(script.path).read_text(encoding="utf-8")))
        return
    for found in _MADE.finditer(text):
        verb, name, before, after = (_unquoted(part or "") for part in found.groups())
        yield (before, after) if not verb else ("", name) if verb.lower() == "create" else (name, "")


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name

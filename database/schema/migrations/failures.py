"""Errors of a migration that a database refuses: which migration, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import RequestError
from database.core.errors import SchemaMismatch
from database.schema.sqlalchemy_engine import translated

_CREATED: Final = re.compile(r'\s*create table "?([^"\s(]+)', re.I)
_DUPLICATE: Final = "42P07"


class TableInTheWay(InvalidQuery):
    """A migration creates a table that exists already."""


class MigrationFailed(RequestError):
    """The database refused a statement of a migration; everything was rolled back. The message names the migration."""


@contextmanager
def explained(adapter: DatabaseAdapter, steps: Sequence[str], done: Sequence[str]) -> Iterator[None]:
    """Translate database errors in the block to errors that name the migration.

    :param steps: the migrations to run, in order.
    :param done: the completed migrations; the block appends to it.
    :raises TableInTheWay: if a table to be created exists already.
    :raises MigrationFailed: if the database refuses another statement.
    :raises DataError: if the connection is lost.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        step = next((step for step in steps if step not in done), None)
        raise _explanation(adapter, error, step) from error.orig


def _explanation(adapter: DatabaseAdapter, error: sa.exc.DBAPIError, step: str | None) -> DataError:
    ours = translated(adapter, error, writes=True)
    if not isinstance(ours, RequestError | SchemaMismatch) or step is None:
        return ours
    made = _CREATED.match(error.statement or "")
    duplicate = getattr(error.orig, "sqlstate", None) == _DUPLICATE or "already exists" in str(error.orig)
    if made and duplicate:
        return TableInTheWay(
            f"migration {step} creates table {made[1]}, which already exists but was not created by a migration of this"
            " application; nothing was changed. If the table belongs to another program, rename or remove the declared"
            f" table in config/tables.py and in migration {step}; to serve it as it is, remove it there and run"
            f" `flask db adopt`. If it is the declared table, with everything that migration {step} creates, run"
            f" `flask db upgrade` with the revision before it, then `flask db stamp {step}`, then `flask db upgrade`",
            backend=adapter.name,
        )
    reason = ours.message.replace("_alembic_tmp_", "")
    return MigrationFailed(f"migration {step} failed and was rolled back: {reason}", backend=adapter.name)

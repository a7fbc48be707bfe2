"""A migration that a database refuses: which one it was, what is in its way, and what to do."""

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
    """A migration makes a table of which the database has one already."""


class MigrationFailed(RequestError):
    """The database refused a statement of a migration; nothing was changed. The message names the migration."""


@contextmanager
def explained(adapter: DatabaseAdapter, steps: Sequence[str], done: Sequence[str]) -> Iterator[None]:
    """Say of a refusal in the block which migration it came from.

    :param steps: the migrations that are to run, in their order.
    :param done: those that have run, which may grow in the block.
    :raises TableInTheWay: if a table exists already.
    :raises MigrationFailed: if the database refuses something else.
    :raises DataError: if it cannot be reached any more.
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
            f"migration {step} makes the table {made[1]}, and the database already has a table {made[1]} that no"
            " migration of this application made (it already exists); nothing was changed. If it is another"
            f" program's, rename the declared table in config/tables.py and in migration {step}, or remove it from"
            f" both. If it is the declared table, with all that migration {step} makes: run `flask db upgrade` up to"
            f" the revision before, `flask db stamp {step}`, and `flask db upgrade`",
            backend=adapter.name,
        )
    reason = ours.message.replace("_alembic_tmp_", "")
    return MigrationFailed(f"migration {step} failed, and nothing was changed: {reason}", backend=adapter.name)

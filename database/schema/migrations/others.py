"""Declared tables that others have made: nothing of ours is made in them unasked."""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from database.schema.migrations import row_security
from database.schema.migrations.capture import install as capture


class Others(NamedTuple):
    """The names of such tables.

    :ivar rules: those without policies of ours that no migration creates, or that have policies of others.
    :ivar log: those without triggers of ours that no migration creates.
    """

    rules: set[str]
    log: set[str]


def found_others(connection: sa.Connection, declared: Sequence[sa.Table], made: Container[str]) -> Others:
    """Find them; call before the policies are lifted.

    :param declared: the application's tables, without the adopted ones.
    :param made: the tables that migrations create.
    """
    there = set(sa.inspect(connection).get_table_names())
    unmade = [table for table in declared if table.name in there and table.name not in made]
    policed = row_security.with_other_policies(connection) if row_security.has_roles(connection) else set()
    doubtful = [table for table in declared if table.name in policed or table in unmade]
    ruled, logged = row_security.asked(connection, doubtful), capture.asked(connection, unmade)
    return Others(
        {table.name for table in doubtful if table not in ruled},
        {table.name for table in unmade if table not in logged},
    )


def without(tables: Iterable[sa.Table], names: Container[str]) -> list[sa.Table]:
    """The tables without those of these names."""
    return [table for table in tables if table.name not in names]

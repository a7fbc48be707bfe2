"""What a PostgreSQL database does by itself to the rows that are written to a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg import sql

from database.core.clock import monotonic
from database.core.tables.schema import TableSchema
from database.internal_tables import place_of
from database.sql.connection import Rewriting

_TRUST_SECONDS = 5.0
"""For how long a connection goes by what it has found out; to ask with every write would cost a round trip."""

_REWRITING = """
select exists (
    select from pg_catalog.pg_trigger
    where not tgisinternal and tgenabled <> 'D' and tgname !~ '^(zz_)?isthmus_'
        and (tgrelid = relation or tgrelid in (select relid from pg_partition_tree(relation)))
), exists (
    select from pg_catalog.pg_rewrite where ev_class = relation and ev_enabled <> 'D'
), array(
    select attname::text from pg_catalog.pg_attribute
    where attrelid = relation and attgenerated <> '' and not attisdropped
)
from (select to_regclass(%s) as relation) as asked"""
"""Whether there are triggers of others, also on partitions, and rules, of which every view has one; and the columns
that the database computes."""

Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


class KnownRewriting:
    """What a connection knows of the tables that it has written to."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Rewriting]] = {}

    def of(self, table: TableSchema, rows: Rows) -> Rewriting:
        """What is done to the rows of a table.

        :param rows: asks the database.
        """
        known, now = self._known.get(table.name), monotonic()
        if known is None or now - known[0] > _TRUST_SECONDS:
            name = sql.Identifier(*place_of(table.source)).as_string(None)
            ((triggers, rules, computed),) = rows(_REWRITING, (name,))
            known = self._known[table.name] = now, Rewriting(triggers, rules, tuple(computed))
        return known[1]

"""Relations of tables by their declared foreign keys, as joins."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from database.adapter.joins import Join
from database.core.errors import InvalidQuery
from database.core.query.selection import Relation
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.uniqueness import unique_sets


@dataclass(frozen=True, slots=True)
class _Link:
    """A foreign key between two tables, seen from one of them.

    :ivar names: by which a query may name it.
    :ivar one: whether a row has one related row at most.
    """

    column: str
    foreign_column: str
    names: tuple[str, ...]
    one: bool


def related(schema: Schema, table: TableSchema, relations: Iterable[Relation]) -> tuple[Join, ...]:
    """The joins that fetch the related rows.

    :raises NotFound: for an unknown table.
    :raises InvalidQuery: for tables that no foreign key relates, or several if the relation does not say which.
    """
    return tuple([_join(table, schema.table(relation.table), relation) for relation in relations])


def _join(table: TableSchema, other: TableSchema, relation: Relation) -> Join:
    links = list(_links(table, other))
    chosen = [link for link in links if relation.hint is None or relation.hint in link.names]
    if not chosen:
        by = "" if relation.hint is None else f" named {relation.hint[:64]!r}"
        raise InvalidQuery(f"no foreign key of one column{by} relates the tables {table.name!r} and {other.name!r}")
    if len(chosen) > 1:
        known = " or ".join(f"{other.name}!{link.names[0]}(…)" for link in links)
        raise InvalidQuery(f"several foreign keys relate {table.name!r} and {other.name!r}; name one: {known}")
    link = chosen[0]
    return Join(other.name, link.column, link.foreign_column, relation.columns, relation.name, link.one, relation.texts)


def _links(table: TableSchema, other: TableSchema) -> Iterator[_Link]:
    for key in _references(table, other):
        yield _Link(str(key.parent.name), str(key.column.name), _names(key), one=True)
    if table.name == other.name:
        # The rows that refer to this one are fetched by join(): two directions of a key would have one name.
        return
    for key in _references(other, table):
        one = (str(key.parent.name),) in unique_sets(other.source)
        yield _Link(str(key.column.name), str(key.parent.name), _names(key), one=one)


def _references(table: TableSchema, other: TableSchema) -> Iterator[sa.ForeignKey]:
    """The foreign keys of one column from one table to the other, by the name of the column."""
    for key in sorted(table.source.foreign_keys, key=lambda key: str(key.parent.name)):
        constraint = key.constraint
        if key.column.table.name == other.name and (constraint is None or len(constraint.elements) == 1):
            yield key


def _names(key: sa.ForeignKey) -> tuple[str, ...]:
    name = None if key.constraint is None else key.constraint.name
    return (str(key.parent.name), *([str(name)] if isinstance(name, str) else []))

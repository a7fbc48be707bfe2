"""Chooses a few records of each table for a trial, with the records that these refer to."""

from __future__ import annotations

from collections.abc import Iterator

from database.backends.memory.constraints import references
from database.core.tables.keys import address
from database.sync.side import Side
from database.sync.three_way_merge import RecordKey


def chosen(source: Side, tables: tuple[str, ...], limit: int) -> list[RecordKey]:
    """The first records of each table, at most ``limit``, and those that they need."""
    todo = [key for table in tables for key in _first(source, table, limit)]
    found: dict[RecordKey, None] = {}
    while todo:
        found |= dict.fromkeys(todo)
        states = source.states(todo, "")
        parents = {
            parent for key, state in states.items() if state.row for parent in _parents(source, key.table, state.row)
        }
        todo = [key for key in sorted(parents) if key not in found and key.table in tables]
    return list(found)


def _first(source: Side, table: str, limit: int) -> Iterator[RecordKey]:
    rows, _ = source.page(table, None, None, limit)
    return (RecordKey(table, one) for one in source.addresses(table, rows))


def _parents(source: Side, table: str, row: dict[str, object]) -> Iterator[RecordKey]:
    """The records that a row refers to by their keys."""
    schema = source.adapter.schema
    for reference in references(schema.table(table)):
        if reference.other not in schema:
            continue
        other = schema.table(reference.other)
        values = dict(zip(reference.others, (row[name] for name in reference.columns), strict=True))
        if set(values) == set(other.key) and None not in values.values():
            key = tuple([values[name] for name in other.key])
            yield RecordKey(reference.other, address(other, key[0] if len(key) == 1 else key))

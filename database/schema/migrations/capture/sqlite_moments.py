"""Timestamps that other programs write into an SQLite file, in any of SQLite's spellings.

SQLite has no type for them, and Isthmus compares and sorts their text. So triggers give them the one form that it
writes, in UTC. What SQLite cannot read as a moment stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from database.schema.adoption.marks import is_adopted
from database.schema.migrations.capture.tables import key_columns
from database.schema.migrations.capture.tables import shape

_quote: Final = sqlite.dialect().identifier_preparer.quote_identifier
# Our own form comes first, because most rows have it. All is short, because SQLite makes room for each trigger's values
# again for each row, whether or not anything is to be done.
_OTHERWISE: Final = "{0} not glob '????-??-??T??:??:??.??????Z' and {0} like '____-__-__%'"
_SECONDS: Final = "strftime('%Y-%m-%dT%H:%M:%S', {})"
# All digits of a fraction are kept, of which strftime has three.
_REST: Final = "substr({0}, instr({0}, '.') + 1)"
_DIGITS: Final = f"substr({_REST}, 1, length({_REST}) - length(ltrim({_REST}, '0123456789')))"
_WHOLE: Final = f"iif(instr({{0}}, '.'), replace({{0}}, '.' || {_DIGITS}, ''), {{0}})"
_FRACTION: Final = f"iif(instr({{0}}, '.'), substr({_DIGITS} || '000000', 1, 6), '000000')"
_MOMENT: Final = f"{_SECONDS.format(_WHOLE)} || '.' || {_FRACTION} || 'Z'"
EVENTS: Final = ("insert", "update")


def triggers(table: sa.Table) -> Iterator[tuple[str, str]]:
    """The triggers of a table by name, exactly as SQLite stores them; none for an adopted one, which stays as it is."""
    names = moments(table)
    if not names or is_adopted(table):
        return
    key = " and ".join(f"{_quote(name)} is new.{_quote(name)}" for name in key_columns(table))
    action = f"update {_quote(str(table.name))} set {_assignments(names, 'new.')} where {key}"  # noqa: S608  # quoted names
    for event in EVENTS:
        name = _quote(f"isthmus_moment_{event}_{table.name}")
        on = f"after {event}{_columns(event, names)} on {_quote(str(table.name))} when {_condition(names, 'new.')}"
        yield name[1:-1].replace('""', '"'), f"CREATE TRIGGER {name} {on} begin /* {shape(table)} */ {action}; end"


def rewriting(table: sa.Table) -> str | None:
    """The statement for the rows that are there already; None if the table needs none."""
    names = moments(table)
    if not names or is_adopted(table):
        return None
    quoted = _quote(str(table.name))
    return f"update {quoted} set {_assignments(names, '')} where {_condition(names, '')}"  # noqa: S608  # quoted names


def moments(table: sa.Table) -> list[str]:
    """The columns of a table that hold moments."""
    return [
        str(column.name) for column in table.columns if isinstance(column.type, sa.DateTime) and column.type.timezone
    ]


def _columns(event: str, names: Sequence[str]) -> str:
    return f" of {', '.join(map(_quote, names))}" if event == "update" else ""


def _assignments(names: Sequence[str], row: str) -> str:
    return ", ".join(f"{_quote(name)} = coalesce({_moment(name, row)}, {_quote(name)})" for name in names)


def _condition(names: Sequence[str], row: str) -> str:
    """Whether a column has a moment in another form."""
    values = [row + _quote(name) for name in names]
    return " or ".join(
        f"({_OTHERWISE.format(value)} and julianday({_WHOLE.format(value)}) is not null)" for value in values
    )


def _moment(name: str, row: str) -> str:
    """A moment in our own form; null for what is in it already, and for what is none."""
    value = row + _quote(name)
    return f"iif({_OTHERWISE.format(value)}, {_MOMENT.format(value)}, null)"

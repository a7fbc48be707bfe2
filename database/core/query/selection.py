"""What a query returns of each row, as text: columns, and rows that foreign keys relate to it.

::

    *                              id, name                         amount::text
    *, experiments(name)           id, author:users(name)           sender:users!sender_id(id, name)

``::text`` gives an integer as text, for clients whose numbers do not have 64 bits. ``!`` names the column of the
foreign key, or the key itself, where there are several; a name before ``:`` is the key of the related rows in the
result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Sequence

from database.core.errors import InvalidQuery
from database.core.immutable import immutable
from database.core.kinds.values import INTEGER
from database.core.kinds.values import TEXT
from database.core.result import Row
from database.core.tables.schema import TableSchema

MAX_RELATIONS = 16
"""The most relations of a query: each is a read of its own."""

_COMPOSED = re.compile(r"[(:!*]")
_RELATION = re.compile(r"(?:([^:!()]+):)?([^:!()]+)(?:!([^:!()]+))?\((.*)\)", re.S)


@immutable
class Relation:
    """The related rows of another table.

    :ivar name: their key in the result.
    :ivar hint: the foreign key, or its column; None if there is no more than one.
    :ivar columns: what to return of them; None for all.
    :ivar texts: the integer columns to return as text.
    """

    name: str
    table: str
    hint: str | None
    columns: tuple[str, ...] | None
    texts: tuple[str, ...]


@immutable
class Selection:
    """What a query returns of each row.

    :ivar columns: None for all; none at all if there are relations only.
    :ivar texts: the integer columns to return as text.
    """

    columns: tuple[str, ...] | None
    texts: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()


EVERYTHING = Selection(None)


def read_selection(text: str) -> Selection:
    """Parse a selection. :raises InvalidQuery: if it is malformed; names the problem."""
    if text == "*":
        return EVERYTHING
    if _COMPOSED.search(text) is None:
        return Selection(tuple([name.strip() for name in text.split(",")]))
    columns: list[str] = []
    relations: list[Relation] = []
    for part in _parts(text):
        match = _RELATION.fullmatch(part)
        if match is None:
            columns.append(part)
        else:
            relations.append(_relation(*[None if found is None else found.strip() for found in match.groups()]))
    if len(relations) > MAX_RELATIONS:
        raise InvalidQuery(f"a query must have at most {MAX_RELATIONS} relations, not {len(relations)}")
    return Selection(*_columns(columns), tuple(relations))


def check_texts(table: TableSchema, names: Iterable[str]) -> None:
    """Refuse ``::text`` where it has no one meaning. :raises InvalidQuery: names the column."""
    for name in names:
        if table.column(name).kind not in {INTEGER, TEXT}:
            raise InvalidQuery(f"column {name!r} cannot be selected as ::text; only integer columns can")


def give_as_text(rows: Iterable[Row], names: Sequence[str]) -> None:
    """Turn the integers of these columns into text."""
    for row in rows if names else ():
        for name in names:
            row[name] = None if row[name] is None else str(row[name])


def _columns(parts: Sequence[str]) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The columns, and those of them that are returned as text."""
    names, texts = [], []
    for part in parts:
        name, cast, kind = part.partition("::")
        if cast and kind != "text":
            raise InvalidQuery(f"column {name[:64]!r} cannot be cast to {kind[:64]!r}; the only cast is ::text")
        names.append(name)
        if cast:
            texts.append(name)
    if "*" not in names:
        return tuple(names), tuple(texts)
    twice = next((name for name in names if name != "*" and name not in texts), "*" if names.count("*") > 1 else None)
    if twice is not None:
        raise InvalidQuery(f"'*' selects all columns; leave out {twice[:64]!r}")
    return None, tuple(texts)


def _relation(name: str | None, table: str | None, hint: str | None, inner: str | None) -> Relation:
    table = table or ""
    if hint == "inner":
        raise InvalidQuery(f"{table[:64]}!inner is not supported: related rows do not select the rows of the query")
    if not inner:
        raise InvalidQuery(f"the relation {table[:64]!r} must name its columns in parentheses, such as {table[:64]}(*)")
    selection = read_selection(inner)
    if selection.relations:
        raise InvalidQuery(
            f"the relation {table[:64]!r} must not have relations of its own: they are one level deep; read the deeper"
            " rows with a query of their own"
        )
    return Relation(name or table, table, None if hint == "left" else hint, selection.columns, selection.texts)


def _parts(text: str) -> list[str]:
    """Split at commas outside of parentheses."""
    parts: list[str] = []
    depth = start = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    if depth:
        raise InvalidQuery("the parentheses of select do not match")
    return [*parts, text[start:].strip()]

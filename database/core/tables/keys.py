"""The key of a record: the values of the columns of its table's primary key, and the text that stands for them.

That text is the record's address, in change logs, sync and errors. It has one spelling for each key: of a key of one
column it is the value itself, an integer in decimal digits; of several columns it is all values, joined by commas, in
which ``~0`` stands for ``~``, ``~1`` for ``/`` and ``~2`` for ``,``. In a URL, where a slash ends the address, a text
that is the whole key has ``~0`` and ``~1``, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from database.core.errors import InvalidQuery
from database.core.kinds.values import INTEGER
from database.core.kinds.values import TEXT
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema

Key = Any
"""The value of the key's one column, or a tuple of the values of all its columns, in their order."""

_DIGITS = re.compile(r"0|-?[1-9]\d*", re.ASCII)
_ESCAPES = {"~": "~0", "/": "~1", ",": "~2"}
_ESCAPED = re.compile("[~/,]")
_ESCAPE = re.compile("~(.?)", re.DOTALL)
_WHOLE_ESCAPED = re.compile("[~/]")
_WHOLE_ESCAPE = re.compile("~[012]")
_MEANT = {escape[1]: character for character, escape in _ESCAPES.items()}


def key_of(schema: TableSchema, row: Mapping[str, Any]) -> Key:
    """The key of a row. :raises KeyError: if it lacks one of the key's columns."""
    names = schema.key
    return row[names[0]] if len(names) == 1 else tuple([row[name] for name in names])


def parts_of(schema: TableSchema, key: Key) -> tuple[Any, ...]:
    """The values of a key, one per column."""
    return (key,) if len(schema.key) == 1 else key


def address(schema: TableSchema, key: Key) -> str:
    """The text that stands for a key."""
    if len(schema.key) == 1:
        return key if type(key) is str else str(key)
    return ",".join([_ESCAPED.sub(lambda found: _ESCAPES[found[0]], str(part)) for part in key])


def address_of(schema: TableSchema, row: Mapping[str, Any]) -> str:
    """The text that stands for the key of a row. :raises KeyError: if it lacks one of the key's columns."""
    return address(schema, key_of(schema, row))


def url_address(schema: TableSchema, row: Mapping[str, Any]) -> str:
    """The address of a row in a URL, not yet percent-encoded."""
    given = address_of(schema, row)
    return given if len(schema.key) > 1 else text_address(given)


def text_address(text: str) -> str:
    """A text that is a whole key in a URL, not yet percent-encoded."""
    return _WHOLE_ESCAPED.sub(lambda found: _ESCAPES[found[0]], text)


def text_in_url(given: str) -> str:
    """The text that :func:`text_address` has made this of. Other tildes stand for themselves."""
    return _WHOLE_ESCAPE.sub(lambda found: _MEANT[found[0][1]], given)


def key_in_url(schema: TableSchema, given: str) -> Key:
    """Validate the key in a URL.

    :raises InvalidQuery: says what is wrong.
    """
    if len(schema.key) == 1:
        given = text_in_url(given)
    return checked_key(schema, given)


def readable_key(schema: TableSchema, values: Mapping[str, Any]) -> Key | None:
    """The key in the readable values of a row; None if it is not among them."""
    return key_of(schema, values) if values.keys() >= set(schema.key) else None


def checked_key(schema: TableSchema, given: Any) -> Key:
    """Validate a key for a look-up. A key that no record can have is one as any other.

    :param given: the value of the key's one column; of several columns a sequence of their values, or a mapping of
        their names to them; of any key its address.
    :raises InvalidQuery: says what is wrong.
    """
    if schema.text_key and type(given) is str and given.isascii() and "\0" not in given:
        return given
    parts = _parts(schema, given)
    checked = [_part(schema.columns[name], part) for name, part in zip(schema.key, parts, strict=True)]
    return checked[0] if len(checked) == 1 else tuple(checked)


def can_exist(schema: TableSchema, key: Key) -> bool:
    """Whether a record can have a checked key: not if a column cannot hold its value."""
    if schema.text_key:
        return True
    kinds = [schema.columns[name].checks for name in schema.key]
    return all(kind.held(part) is not None for kind, part in zip(kinds, parts_of(schema, key), strict=True))


def sort_by_key(schema: TableSchema, rows: list[Any]) -> None:
    """Sort rows by their keys, in place. A value that cannot be read is sorted by its text."""
    if schema.text_key:
        name = schema.key[0]
        rows.sort(key=lambda row: str(row[name]))
    else:
        texts = [schema.columns[name].kind is TEXT for name in schema.key]
        rows.sort(key=lambda row: tuple(map(_rank, texts, parts_of(schema, key_of(schema, row)))))


def _rank(is_text: bool, part: Any) -> tuple[bool, Any]:
    readable = type(part) is int
    return (True, str(part)) if is_text or not readable else (False, part)


def _parts(schema: TableSchema, given: Any) -> Sequence[Any]:
    names = schema.key
    if isinstance(given, Mapping):
        if given.keys() != set(names):
            raise _wrong(schema, f"must have a value for {', '.join(names)}, and nothing else")
        return [given[name] for name in names]
    if len(names) == 1:
        return given if isinstance(given, tuple) and len(given) == 1 else [given]
    if isinstance(given, str):
        given = [_unescaped(schema, part) for part in given.split(",")]
    if not isinstance(given, list | tuple) or len(given) != len(names):
        raise _wrong(schema, f"must have {len(names)} parts: {', '.join(names)}")
    return given


def _part(column: Column, value: Any) -> Any:
    """Validate the value of one column of a key."""
    kind = column.checks
    try:
        if column.kind is INTEGER:
            return INTEGER.check(_integer(value))
        return kind.comparand(value)
    except ValueError as error:
        what = "an id" if column.name == "id" else f"the key {column.name!r}"
        raise InvalidQuery(f"{what} {error}") from None


def _integer(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # One spelling for each number, so that no record has two addresses.
    if not _DIGITS.fullmatch(value) or len(value) > 20:
        raise ValueError("must be an integer in decimal digits")
    return int(value)


def _unescaped(schema: TableSchema, part: str) -> str:
    def character(found: re.Match[str]) -> str:
        if found[1] not in _MEANT:
            raise _wrong(schema, "may have '~' only in ~0, ~1 and ~2, which stand for '~', '/' and ','")
        return _MEANT[found[1]]

    return _ESCAPE.sub(character, part)


def _wrong(schema: TableSchema, problem: str) -> InvalidQuery:
    return InvalidQuery(f"a key of table {schema.name!r} {problem}")

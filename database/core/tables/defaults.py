"""What a declared column gets without being given it: ``default=``, ``server_default=`` and ``onupdate=``.

A callable is called once for each row, by the data layer, so that it means the same on every backend. So does a
``server_default=`` that is a constant, the present moment or a random UUID: the value is sent, although a SQL database
would fill it in as well, because memory and Convex would not. Every other one can only be made by a SQL database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from typing import Final
from uuid import uuid4

import sqlalchemy as sa

from database.core.clock import utc_now
from database.core.kinds.calendar import clock
from database.core.kinds.uuids import UUIDS
from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind

MISSING: Final = object()
"""Marks a column without a default."""

Make = Callable[[Mapping[str, Any]], Any]
"""Makes a value for a row from the values that were given for it."""

_MANAGED_BY_US: Final = "is filled in by the data layer; leave the option out"
_QUOTED = re.compile(r"'((?:[^']|'')*)'(?:::[\w .\"]+(?:\(\d+\))?)?")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_NOW = frozenset({"now()", "current_timestamp", "current_timestamp()", "transaction_timestamp()", "localtimestamp"})
_BOOLEANS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class DefaultContext:
    """What a callable with a parameter is given, as by SQLAlchemy: only the values of the present row."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.current_parameters = dict(row)

    def get_current_parameters(self, isolate_multiinsert_params: bool = True) -> dict[str, Any]:
        """The values that were given for the row; it is always one row."""
        return self.current_parameters


@dataclass(frozen=True, slots=True)
class Defaults:
    """What becomes of a column that is left out.

    :ivar constant: its value in a new row, or ``MISSING``.
    :ivar make: makes its value for a new row, if it is no constant.
    :ivar by_server: whether only the database can make its value.
    :ivar on_update: makes its value when the row is updated; None if it then stays as it is.
    """

    constant: Any = MISSING
    make: Make | None = None
    by_server: bool = False
    on_update: Make | None = None


def defaults_of(column: sa.Column[Any], kind: Kind, *, managed: bool) -> Defaults:
    """Read a declared column's options.

    :param managed: whether the data layer itself fills the column in.
    :raises ValueError: for an option that not all backends can honour; names the column, the option and the remedy.
    """
    _refuse_unsupported(column)
    if managed:
        for option, given in (("default", column.default), ("onupdate", column.onupdate)):
            if given is not None:
                raise _refused(column, option, _MANAGED_BY_US)
        return Defaults()
    on_update = _client_side(column, "onupdate", kind)
    made = None if on_update is None else _made(on_update)
    default = _client_side(column, "default", kind)
    if default is not None:
        return Defaults(*_split(default), on_update=made)
    if column.server_default is None:
        return Defaults(None if column.nullable else MISSING, on_update=made)
    # A key that the server makes is asked for by leaving it out.
    known = None if column.primary_key else _known(column, kind)
    return Defaults(by_server=True, on_update=made) if known is None else Defaults(*_split(known), on_update=made)


def _refuse_unsupported(column: sa.Column[Any]) -> None:
    if column.computed is not None:
        raise _refused(
            column, "Computed", "cannot be calculated by Convex and memory; use default= and onupdate= with a function"
        )
    if column.identity is not None and not column.primary_key:
        raise _refused(column, "Identity", "exists only on PostgreSQL; use default= with a function")
    if column.server_onupdate is not None:
        raise _refused(column, "server_onupdate", "cannot be kept on all backends; use onupdate= with a function")
    if column.key != column.name:
        raise _refused(column, "key", "would be a second name; leave it out")
    if column.system:
        raise _refused(column, "system", "declares a column of the database's own; leave the column out")


@dataclass(frozen=True, slots=True)
class _Constant:
    value: Any


def _split(default: _Constant | Make) -> tuple[Any, Make | None]:
    return (default.value, None) if isinstance(default, _Constant) else (MISSING, default)


def _made(default: _Constant | Make) -> Make:
    return (lambda _: default.value) if isinstance(default, _Constant) else default


def _client_side(column: sa.Column[Any], option: str, kind: Kind) -> _Constant | Make | None:
    """The ``default=`` or ``onupdate=`` of a column; None if it has none."""
    given: Any = getattr(column, option)
    if given is None:
        return None
    if given.is_callable:
        function = given.arg
        return lambda row: function(DefaultContext(row))
    if given.is_scalar:
        return _constant(column, option, kind, lambda: kind.check(given.arg), given.arg)
    other = "server_default=" if option == "default" else "a function that is called in Python"
    raise _refused(column, option, f"is an SQL expression, which Convex and memory cannot evaluate; use {other}")


def _constant(
    column: sa.Column[Any], option: str, kind: Kind, read: Callable[[], Any], given: Any
) -> _Constant | Make | None:
    if given is None:
        return _Constant(None)
    try:
        value = read()
    except ValueError as error:
        raise _refused(column, option, str(error)) from None
    # Every row has a document of its own, because its owner may change it.
    return (lambda _: deepcopy(value)) if kind is JSON or isinstance(value, list) else _Constant(value)


def _known(column: sa.Column[Any], kind: Kind) -> _Constant | Make | None:
    """A ``server_default=`` that the data layer knows the value of; None for all others."""
    given: Any = getattr(column.server_default, "arg", None)
    if isinstance(given, str):
        return _constant(column, "server_default", kind, lambda: _read(kind, given), given)
    text = None if given is None else _text_of(given)
    if text is None:
        return None
    if (inner := quoted_text(text)) is not None:
        return _constant(column, "server_default", kind, lambda: _read(kind, inner), inner)
    return _evaluated(column, kind, text)


def quoted_text(expression: str) -> str | None:
    """The text of a SQL expression that is a text in quotation marks, with or without a cast; None for all others."""
    quoted = _QUOTED.fullmatch(expression)
    return None if quoted is None else quoted[1].replace("''", "'")


def _evaluated(column: sa.Column[Any], kind: Kind, text: str) -> _Constant | Make | None:
    word = text.lower()
    if word in _NOW and clock(kind, utc_now()) is not None:
        return lambda _: clock(kind, utc_now())
    if kind in (TEXT, UUIDS) and word == "gen_random_uuid()":
        return lambda _: str(uuid4())
    if word == "null":
        return _Constant(None)
    if word in {"true", "false"} or _NUMBER.fullmatch(text):
        return _constant(column, "server_default", kind, lambda: _read(kind, word), word)
    return None


def _text_of(given: Any) -> str | None:
    """The text of an SQL expression without values of its own."""
    try:
        text = str(given.compile(compile_kwargs={"literal_binds": True}))
    except sa.exc.CompileError:
        return None
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1].strip()
    return text


def _read(kind: Kind, text: str) -> Any:
    if kind is BOOLEAN and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    return kind.parse(text)


def _refused(column: sa.Column[Any], option: str, problem: str) -> ValueError:
    return ValueError(f"column {column.table.name}.{column.name}: the option {option} {problem}")

"""The differences between SQL databases: encoders and decoders of values, and some expressions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from database.core.kinds.arrays import Arrays
from database.core.kinds.values import Kind
from database.sql.many_rows import LoadText
from database.sql.texts.parameters import Parameters
from database.sql.texts.placeholders import Style

Expression = sa.ColumnElement[Any]
Build = Callable[[Expression, Expression], Expression]
"""Builds a condition from a column and a bound operand."""


_REMEMBERED = 1024
"""Values of a column that are not read again: to look one up takes a sixth of the time."""


def _unchanged(value: Any) -> Any:
    return value


def _as_asked(operator: str, _kind: Kind, _operand: Any) -> str:
    return operator


@dataclass(frozen=True)
class SqlDialect:
    """The dialect of one SQL database.

    :ivar compiler: SQLAlchemy's dialect, with positional parameters.
    :ivar insert: the dialect's own ``insert``, which supports ``on conflict``.
    :ivar encode: converts Python values to the driver's, for the kinds that differ.
    :ivar encode_many: the same for all values of a column at once, some of them perhaps None, where that is quicker.
    :ivar decode: converts the driver's values to Python's, for the kinds that differ.
    :ivar types: the valid Python types, for the kinds whose columns may hold values of other types.
    :ivar operators: builds the conditions whose SQL differs between databases.
    :ivar operands: encodes the right-hand side of such a condition.
    :ivar member: builds the condition that a column has one of the values of a list, bound as one parameter.
    :ivar bound_list: converts a list of encoded values to that parameter.
    :ivar variant: the key in ``operators`` for an operator, if its best SQL depends on the operand.
    :ivar explicit_collation: the collation to add to comparisons of text columns that do not declare it.
    :ivar counts_afterwards: whether the trigger that counts the versions of other writers fires after the change, also
        for a row that is written again as it is.
    :ivar default_keyword: whether an update may set a column to ``DEFAULT``.
    :ivar has_enums: whether an enumeration is a type of its own, with another order than its labels.
    :ivar has_arrays: whether an array is a type of its own.
    :ivar has_schemas: whether Isthmus' own tables are in a schema of their own.
    :ivar pass_number: the statement that makes a table number its next records behind a key, if it must be told; its
        values are the key, the quoted name of the table, and the column.
    :ivar load_text: makes the text from which the database loads many rows; None if it has no such way.
    :ivar rows_of: what a statement takes rows from that are one value: of a table, for these columns; None if there is
        nothing like that.
    :ivar overrides: whether a key that the database always makes is given with ``OVERRIDING SYSTEM VALUE``.
    :ivar style: the driver's placeholder in SQL text.
    :ivar parameters: converts the values of these placeholders to the driver's.
    :ivar native: decodes the driver's values, for the kinds with a ``storage`` that the database has a type for.
    """

    name: str
    compiler: sa.Dialect
    insert: Callable[[sa.Table], Any]
    style: Style
    parameters: Parameters
    member: Callable[[Expression, Callable[[Any], Expression]], Expression]
    bound_list: Callable[[list[Any]], Any]
    variant: Callable[[str, Kind, Any], str] = _as_asked
    encode: Mapping[Kind, Callable[[Any], Any]] = field(default_factory=dict)
    encode_many: Mapping[Kind, Callable[[Sequence[Any]], Sequence[Any]]] = field(default_factory=dict)
    decode: Mapping[Kind, Callable[[Any], Any]] = field(default_factory=dict)
    types: Mapping[Kind, frozenset[type]] = field(default_factory=dict)
    operators: Mapping[tuple[str, Kind | type[Kind]], Build] = field(default_factory=dict)
    operands: Mapping[tuple[str, Kind], Callable[[Any], Any]] = field(default_factory=dict)
    explicit_collation: str | None = None
    native: Mapping[type[Kind], Callable[[Any], Any]] = field(default_factory=dict)
    default_keyword: bool = False
    has_enums: bool = False
    has_arrays: bool = False
    counts_afterwards: bool = False
    has_schemas: bool = False
    pass_number: str | None = None
    overrides: bool = False
    load_text: LoadText | None = None
    rows_of: Callable[[sa.Table, Sequence[str], Expression], sa.FromClause] | None = None

    def encoder(self, kind: Kind) -> Callable[[Any], Any] | None:
        """What makes a checked value what the driver binds; None if it is already."""
        if kind.storage is None:
            return self.encode.get(kind)
        if self.has_arrays and isinstance(kind, Arrays):
            return None
        return None if type(kind) in self.native else kind.store

    def decoder(self, kind: Kind) -> Callable[[Any], Any] | None:
        """What makes the driver's value the Python value; None if it is already."""
        if kind.storage is None:
            return self.decode.get(kind)
        if self.has_arrays and isinstance(kind, Arrays):
            read = self.decoder(kind.item.base or kind.item) or _unchanged
            return lambda items: kind.read(items, read)
        native = self.native.get(type(kind))
        if native is not None:
            return native
        return lru_cache(_REMEMBERED)(kind.restore) if kind.repeats else kind.restore

    def types_of(self, kind: Kind) -> frozenset[type] | None:
        """The Python types that the driver's values of this kind have; None if they need no check."""
        if self.has_arrays and isinstance(kind, Arrays):
            return None
        return self.types.get(kind if kind.storage is None or type(kind) in self.native else kind.storage)

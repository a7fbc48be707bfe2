"""The data layer's view of the declared tables, built once from SQLAlchemy's ``MetaData``.

Four column names have a special meaning: ``id``, as the key of a table (a UUIDv7 unless given), and in every table that
has them ``version`` (integer; 1, incremented by every update), ``created_at`` and ``updated_at`` (timestamps; those
without time zone are in UTC).
All identifiers in generated SQL come from here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any
from typing import Final

import sqlalchemy as sa
from uuid_utils import uuid7

from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.kinds.calendar import clock
from database.core.kinds.chars import CHARS
from database.core.kinds.declared_types import kind_of
from database.core.kinds.enums import enum_labels
from database.core.kinds.uuids import UUIDS
from database.core.kinds.values import INTEGER
from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind
from database.core.tables.access_rules import UNDECLARED
from database.core.tables.access_rules import TableRules
from database.core.tables.access_rules import rules_of
from database.core.tables.defaults import MISSING
from database.core.tables.defaults import Defaults
from database.core.tables.defaults import Make
from database.core.tables.defaults import defaults_of

MANAGED: Final = frozenset({"version", "created_at", "updated_at"})
"""The names of columns that the data layer fills in if they have a type for it, and that HTTP clients may not set."""


def new_id() -> str:
    """Return a new record id: a UUIDv7, so that later ids sort later."""
    return str(uuid7())


def make_id(_: Mapping[str, Any]) -> str:
    """Make the key of a new record."""
    return new_id()


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    :ivar default: the value for a row without this column, or ``MISSING``.
    :ivar server_default: whether the column, if it is left out, gets a value that only the database can make.
    :ivar max_length: the maximum length of a text, in characters.
    :ivar narrower: the kind of the values that the column holds, if they are not all of ``kind``.
    :ivar make: makes the value for a row without this column, if it is no constant.
    :ivar on_update: makes the value for an update without this column; None if it then stays as it is.
    :ivar stand_in: makes the value where there is no database that makes its default.
    :ivar filled: whether an empty text is refused, because it would be the whole key of a record.
    :ivar checks: the kind that checks the column's values.
    :ivar bounded: whether there is more to check.
    :ivar plain_length: up to this length, text of ASCII needs no other check; 0 for columns of other kinds.
    """

    name: str
    kind: Kind
    nullable: bool
    default: Any = MISSING
    server_default: bool = False
    max_length: int | None = None
    collation: str | None = None
    narrower: Kind | None = None
    make: Make | None = None
    on_update: Make | None = None
    stand_in: Make | None = None
    filled: bool = False
    checks: Kind = field(init=False)
    bounded: bool = field(init=False)
    plain_length: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", self.narrower or self.kind)
        object.__setattr__(self, "bounded", self.filled or self.max_length is not None)
        longest = sys.maxsize if self.max_length is None else self.max_length
        object.__setattr__(self, "plain_length", longest if self.checks is TEXT else 0)

    def check(self, value: Any) -> Any:
        """Return ``value`` in its stored form. :raises ValueError: says what is wrong with it."""
        # Most values are such texts; the other checks would take several times as long.
        if type(value) is str and 0 < len(value) <= self.plain_length and value.isascii() and "\0" not in value:
            return value
        if value is None:
            if not self.nullable:
                raise ValueError("must not be null")
            return None
        checked = self.checks.check(value)
        if self.bounded:
            self._check_length(checked)
        return checked

    def _check_length(self, checked: Any) -> None:
        if self.max_length is not None and len(checked) > self.max_length:
            unit = "bytes" if type(checked) is bytes else "characters"
            raise ValueError(f"must not be longer than {self.max_length} {unit}")
        if self.filled and not checked:
            raise ValueError("must not be empty")


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table.

    :ivar columns: by name, in declared order.
    :ivar source: the SQLAlchemy table it was built from.
    :ivar internal: whether it belongs to Isthmus; the records API never exposes it.
    :ivar rules: the access rules of its rows.
    :ivar managed: the columns that the data layer fills in.
    :ivar touched: the columns that every update changes.
    :ivar server_made: the columns that only the database can fill in.
    :ivar key: the columns of the primary key, in its order; :mod:`database.core.tables.keys` says more of it.
    :ivar text_key: whether that is one column, of any text.
    """

    name: str
    columns: Mapping[str, Column]
    source: sa.Table
    internal: bool = False
    rules: TableRules = UNDECLARED
    touched: tuple[Column, ...] = ()
    server_made: tuple[str, ...] = ()
    key: tuple[str, ...] = ("id",)
    text_key: bool = True
    managed: frozenset[str] = frozenset()

    def column(self, name: str) -> Column:
        """The column of that name. :raises InvalidQuery: if there is none."""
        try:
            return self.columns[name]
        except (KeyError, TypeError):
            hint = "; conditions and sort keys name the table's own columns" if "." in str(name) else ""
            raise InvalidQuery(f"table {self.name!r} has no column {_shown(name)}{hint}") from None

    @property
    def versioned(self) -> bool:
        return "version" in self.columns

    @property
    def numbered(self) -> bool:
        """Whether the key is an integer that the database makes, unless it is given."""
        column = self.columns[self.key[0]]
        return len(self.key) == 1 and column.kind is INTEGER and column.server_default

    @property
    def always_numbered(self) -> bool:
        """Whether the database makes the key of every record, and takes none that is given: ``Identity(always=True)``.

        Only a verbatim write gives it nevertheless.
        """
        identity = self.source.columns[self.key[0]].identity
        return self.numbered and identity is not None and bool(identity.always)


class Schema:
    """All tables that an adapter knows.

    :ivar metadata: the application's table declarations, on which its migrations are based; empty if it has none.
    :ivar migrations: the folder of the application's migrations, which contains ``versions``; None if it has none.
    :ivar enum_labels: the label of each member of a Python enumeration; None if columns have different ones for it.
    """

    def __init__(
        self, tables: Iterable[TableSchema], metadata: sa.MetaData | None = None, migrations: Path | None = None
    ) -> None:
        self.metadata = sa.MetaData() if metadata is None else metadata
        self.migrations = migrations
        self._tables = {table.name: table for table in tables}
        self.enum_labels = enum_labels(column.narrower for table in self for column in table.columns.values())

    @classmethod
    def of(cls, metadata: sa.MetaData, *more: sa.MetaData, migrations: Path | None = None) -> Schema:
        """Build the schema from SQLAlchemy's declarations.

        :param metadata: the application's tables.
        :param more: tables that do not belong to the application.
        :raises ValueError: for a column type that not all backends can store, and for a table that is declared twice.
        """
        tables = [table for each in (metadata, *more) for table in each.sorted_tables]
        names = [table.name for table in tables]
        for each in (metadata, *more):
            own = [table.name for table in each.sorted_tables]
            if several := sorted({name for name in own if own.count(name) > 1}):
                raise ValueError(f"two schemas have a table named {several[0]}; declare one of them only")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"Isthmus has its own table named {', '.join(twice)}; rename the application's table")
        return cls(map(table_schema, tables), metadata, migrations)

    def table(self, name: str) -> TableSchema:
        """The table of that name. :raises NotFound: if there is none."""
        try:
            return self._tables[name]
        except (KeyError, TypeError):
            raise NotFound(f"there is no table {_shown(name)}") from None

    def __iter__(self) -> Any:
        return iter(self._tables.values())

    def __contains__(self, name: object) -> bool:
        return name in self._tables


def table_schema(table: sa.Table) -> TableSchema:
    """Convert a SQLAlchemy table. :raises ValueError: for an unsuitable key, column type or access rule."""
    # SQLAlchemy's names are a subclass of str, which not every encoder accepts.
    columns = {str(column.name): _column(column) for column in table.columns}
    key = _key(table, columns)
    touched = tuple(column for column in columns.values() if column.on_update is not None)
    made = tuple(name for name, column in columns.items() if column.server_default)
    text_key = len(key) == 1 and columns[key[0]].checks is TEXT
    internal = bool(table.info.get("internal"))
    rules = rules_of(table)
    managed = frozenset(name for name, column in columns.items() if _is_managed(name, column.kind))
    return TableSchema(str(table.name), columns, table, internal, rules, touched, made, key, text_key, managed)


def _key(table: sa.Table, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """The columns of the primary key. :raises ValueError: if it cannot be one; says what can."""
    key = tuple(str(column.name) for column in table.primary_key.columns)
    if not key:
        raise ValueError(f"table {table.name!r} needs a primary key, of one column or several")
    for name in key:
        if columns[name].kind not in (TEXT, INTEGER):
            raise ValueError(f"column {table.name}.{name} is in the primary key: it must be text, a Uuid or an integer")
        if _is_managed(name, columns[name].kind):
            raise ValueError(f"column {table.name}.{name} is filled in by the data layer: it cannot be in the key")
    return key


def _column(column: sa.Column[Any]) -> Column:
    kind = kind_of(column)
    defaults = defaults_of(column, kind, managed=_is_managed(column.name, kind))
    sole_key = column.primary_key and len(column.table.primary_key.columns) == 1
    numbered = column.table.autoincrement_column is column
    if numbered and not sole_key:
        raise ValueError(
            f"column {column.table.name}.{column.name} is a part of the key and cannot be numbered by the database;"
            " declare autoincrement=False, and give it with each record"
        )
    made = Column(
        str(column.name),
        kind.base or kind,
        bool(column.nullable),
        MISSING if sole_key else defaults.constant,
        server_default=defaults.by_server or (numbered and defaults.make is None),
        max_length=getattr(column.type, "length", None),
        collation=getattr(column.type, "collation", None),
        narrower=kind if kind.base else None,
        make=make_id if sole_key and _is_made_here(column, kind, defaults) else defaults.make,
        on_update=defaults.on_update,
        stand_in=make_id if defaults.by_server and sole_key and kind is UUIDS else None,
        filled=sole_key and kind in (TEXT, CHARS),
    )
    if made.default is not MISSING and made.default is not None:
        try:
            made.check(made.default)
        except ValueError as error:
            raise ValueError(f"column {column.table.name}.{column.name}: the default {error}") from None
    return made


def _is_managed(name: str, kind: Kind) -> bool:
    return name == "version" or (name in MANAGED and clock(kind, datetime.min.replace(tzinfo=UTC)) is not None)


def _is_made_here(column: sa.Column[Any], kind: Kind, defaults: Defaults) -> bool:
    """Whether the data layer makes a new record's key: a UUID, or text named ``id``, without a default of its own.

    A key that refers to another record has that record's key.
    """
    made_elsewhere = defaults.make is not None or defaults.by_server or bool(column.foreign_keys)
    return not made_elsewhere and (kind is UUIDS or (kind is TEXT and column.name == "id"))


def _shown(name: object) -> str:
    """Shorten a caller's identifier for a message."""
    return repr(name if isinstance(name, str) and len(name) <= 64 else f"{str(name)[:61]}...")

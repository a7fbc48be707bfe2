"""The data layer's view of the declared tables, built once from SQLAlchemy's ``MetaData``.

Four column names have a special meaning in every table: ``id`` (text; a UUIDv7 unless given),
``version`` (integer; 1, incremented by every update), ``created_at`` and ``updated_at`` (timestamps).
All identifiers in generated SQL come from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

import sqlalchemy as sa
from uuid_utils import uuid7

from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.tables.access_rules import UNDECLARED
from database.core.tables.access_rules import TableRules
from database.core.tables.access_rules import rules_of
from database.core.tables.declared_types import kind_of
from database.core.tables.defaults import MISSING
from database.core.tables.defaults import Make
from database.core.tables.defaults import defaults_of
from database.core.tables.enums import enum_labels
from database.core.tables.values import TEXT
from database.core.tables.values import TIMESTAMP
from database.core.tables.values import Kind

MANAGED: Final = frozenset({"version", "created_at", "updated_at"})
"""Columns that the data layer fills in and that HTTP clients may not set."""


def new_id() -> str:
    """Return a new record id: a UUIDv7, so that later ids sort later."""
    return str(uuid7())


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    :ivar default: the value for a row without this column, or ``MISSING``.
    :ivar server_default: whether the column, if it is left out, gets a value that only the database can make.
    :ivar max_length: the maximum length of a text, in characters.
    :ivar narrower: the kind of the values that the column holds, if they are not all of ``kind``.
    :ivar make: makes the value for a row without this column, if it is no constant.
    :ivar on_update: makes the value for an update without this column; None if it then stays as it is.
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

    @property
    def checks(self) -> Kind:
        """The kind that checks the column's values."""
        return self.narrower or self.kind

    def check(self, value: Any) -> Any:
        """Return ``value`` in its stored form. :raises ValueError: says what is wrong with it."""
        if value is None:
            if not self.nullable:
                raise ValueError("must not be null")
            return None
        checked = (self.narrower or self.kind).check(value)
        if self.max_length is not None and len(checked) > self.max_length:
            unit = "bytes" if type(checked) is bytes else "characters"
            raise ValueError(f"must not be longer than {self.max_length} {unit}")
        if self.name == "id" and not checked:
            raise ValueError("must not be empty")
        return checked


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table.

    :ivar columns: by name, in declared order.
    :ivar source: the SQLAlchemy table it was built from.
    :ivar internal: whether it belongs to Isthmus; the records API never exposes it.
    :ivar rules: the access rules of its rows.
    :ivar touched: the columns that every update changes.
    :ivar server_made: the columns that only the database can fill in.
    """

    name: str
    columns: Mapping[str, Column]
    source: sa.Table
    internal: bool = False
    rules: TableRules = UNDECLARED
    touched: tuple[Column, ...] = ()
    server_made: tuple[str, ...] = ()

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
    """Convert a SQLAlchemy table. :raises ValueError: for an unsuitable id, column type or access rule."""
    # SQLAlchemy's names are a subclass of str, which not every encoder accepts.
    columns = {str(column.name): _column(column) for column in table.columns}
    if "id" not in columns or columns["id"].kind is not TEXT or not table.columns["id"].primary_key:
        raise ValueError(f"table {table.name!r} needs a text column 'id' as its primary key")
    touched = tuple(column for column in columns.values() if column.on_update is not None)
    made = tuple(name for name, column in columns.items() if column.server_default)
    return TableSchema(
        str(table.name), columns, table, bool(table.info.get("internal")), rules_of(table), touched, made
    )


def _column(column: sa.Column[Any]) -> Column:
    kind = kind_of(column)
    managed = column.name == "version" or (column.name in MANAGED and kind is TIMESTAMP)
    defaults = defaults_of(column, kind, managed=managed)
    made = Column(
        str(column.name),
        kind.base or kind,
        bool(column.nullable),
        defaults.constant,
        server_default=defaults.by_server,
        max_length=getattr(column.type, "length", None),
        collation=getattr(column.type, "collation", None),
        narrower=kind if kind.base else None,
        make=defaults.make,
        on_update=defaults.on_update,
    )
    if made.default is not MISSING and made.default is not None:
        try:
            made.check(made.default)
        except ValueError as error:
            raise ValueError(f"column {column.table.name}.{column.name}: the default {error}") from None
    return made


def _shown(name: object) -> str:
    """Shorten a caller's identifier for a message."""
    return repr(name if isinstance(name, str) and len(name) <= 64 else f"{str(name)[:61]}...")

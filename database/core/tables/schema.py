"""Declared tables, as the data layer sees them: built once from SQLAlchemy's ``MetaData``.

Four column names have a meaning wherever a table declares them: ``id`` (text; a UUIDv7 unless given),
``version`` (integer; 1, then one more with every update), ``created_at`` and ``updated_at`` (timestamps).
Identifiers reach SQL from here only.
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
from database.core.tables.values import BOOLEAN
from database.core.tables.values import FLOAT
from database.core.tables.values import INTEGER
from database.core.tables.values import JSON
from database.core.tables.values import TEXT
from database.core.tables.values import TIMESTAMP
from database.core.tables.values import Kind

MANAGED: Final = frozenset({"version", "created_at", "updated_at"})
"""Columns that the data layer fills in and that callers of the HTTP interface may not set."""

MISSING: Final = object()
"""The default of a column that has none."""

_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], Kind], ...] = (
    (sa.Boolean, BOOLEAN),
    (sa.Integer, INTEGER),
    (sa.Float, FLOAT),
    (sa.DateTime, TIMESTAMP),
    (sa.JSON, JSON),
    (sa.String, TEXT),
    (sa.Uuid, TEXT),
)


def new_id() -> str:
    """A record id: UUIDv7, so that ids made later sort later."""
    return str(uuid7())


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    :ivar default: the value for a row that lacks it, or ``MISSING``.
    :ivar server_default: the database fills it in when it is left out.
    :ivar max_length: the most characters a text may have.
    """

    name: str
    kind: Kind
    nullable: bool
    default: Any = MISSING
    server_default: bool = False
    max_length: int | None = None
    collation: str | None = None

    def check(self, value: Any) -> Any:
        """Return ``value`` in its stored form; ``ValueError`` says what is wrong with it."""
        if value is None:
            if not self.nullable:
                raise ValueError("must not be null")
            return None
        checked = self.kind.check(value)
        if self.max_length is not None and len(checked) > self.max_length:
            raise ValueError(f"must not be longer than {self.max_length} characters")
        if self.name == "id" and not checked:
            raise ValueError("must not be empty")
        return checked


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table.

    :ivar columns: by name, in declared order.
    :ivar source: the SQLAlchemy table it was built from.
    :ivar internal: belongs to Isthmus; never shown by the records interface.
    :ivar rules: who may do what with its rows.
    """

    name: str
    columns: Mapping[str, Column]
    source: sa.Table
    internal: bool = False
    rules: TableRules = UNDECLARED

    def column(self, name: str) -> Column:
        """The column of that name, or ``InvalidQuery``."""
        try:
            return self.columns[name]
        except (KeyError, TypeError):
            raise InvalidQuery(f"table {self.name!r} has no column {_shown(name)}") from None

    @property
    def versioned(self) -> bool:
        return "version" in self.columns


class Schema:
    """All tables that an adapter knows.

    :ivar metadata: the application's declarations, which its migrations are written for; empty if it has none.
    :ivar migrations: the folder of the application's migrations, with ``versions`` in it; None if it has none.
    """

    def __init__(
        self, tables: Iterable[TableSchema], metadata: sa.MetaData | None = None, migrations: Path | None = None
    ) -> None:
        self.metadata = sa.MetaData() if metadata is None else metadata
        self.migrations = migrations
        self._tables = {table.name: table for table in tables}

    @classmethod
    def of(cls, metadata: sa.MetaData, *more: sa.MetaData, migrations: Path | None = None) -> Schema:
        """Read SQLAlchemy's declarations.

        :param metadata: the application's.
        :param more: tables that are not the application's.
        :raises ValueError: for a column type that not all backends can keep, and for a table that is declared twice.
        """
        tables = [table for each in (metadata, *more) for table in each.sorted_tables]
        names = [table.name for table in tables]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"Isthmus has a table of its own with the name {', '.join(twice)}; choose another name")
        return cls(map(table_schema, tables), metadata, migrations)

    def table(self, name: str) -> TableSchema:
        """The table of that name, or ``NotFound``."""
        try:
            return self._tables[name]
        except (KeyError, TypeError):
            raise NotFound(f"there is no table {_shown(name)}") from None

    def __iter__(self) -> Any:
        return iter(self._tables.values())

    def __contains__(self, name: object) -> bool:
        return name in self._tables


def table_schema(table: sa.Table) -> TableSchema:
    """One SQLAlchemy table as a :class:`TableSchema`; ``ValueError`` if its access makes no sense."""
    # SQLAlchemy's names are a text type of its own, which not every encoder takes for text.
    columns = {str(column.name): _column(table, column) for column in table.columns}
    if "id" not in columns or columns["id"].kind is not TEXT or not table.columns["id"].primary_key:
        raise ValueError(f"table {table.name!r} needs a text column 'id' as its primary key")
    return TableSchema(str(table.name), columns, table, bool(table.info.get("internal")), rules_of(table))


def _column(table: sa.Table, column: sa.Column[Any]) -> Column:
    kind = next((kind for type_, kind in _KINDS if isinstance(column.type, type_)), None)
    if kind is None:
        raise ValueError(f"{table.name}.{column.name}: {type(column.type).__name__} is not a portable type")
    default: Any = MISSING
    if column.default is not None and column.default.is_scalar:
        default = column.default.arg  # type: ignore[attr-defined]  # is_scalar says that it is there
    elif column.nullable:
        default = None
    return Column(
        str(column.name),
        kind,
        bool(column.nullable),
        default,
        server_default=column.server_default is not None,
        max_length=getattr(column.type, "length", None),
        collation=getattr(column.type, "collation", None),
    )


def _shown(name: object) -> str:
    """A caller's identifier, short enough for a message."""
    return repr(name if isinstance(name, str) and len(name) <= 64 else f"{str(name)[:61]}...")

"""Statements compiled once per shape.

A shape is an operation without its values: table, columns, operators, order, whether there is a limit. SQLAlchemy
compiles a shape to the dialect's SQL once; later calls take the text from a dictionary and only bind the values. The
driver caches prepared statements by their text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from database import internal_tables
from database.core.caching import ByteCache
from database.core.caching import footprint
from database.core.kinds.enums import is_native_enum
from database.core.kinds.values import INTEGER_MAX
from database.core.query.filters import Order
from database.core.tables.schema import TableSchema
from database.sql.conditions import Conditions
from database.sql.conditions import Params
from database.sql.conditions import Shape
from database.sql.dialect import Expression
from database.sql.dialect import SqlDialect

_CACHED_BYTES = 8 << 20


class Statement(NamedTuple):
    """SQL text, and for each of its places the index of its value.

    :ivar in_order: whether the places take the first values in their order.
    """

    text: str
    places: tuple[int, ...]
    in_order: bool

    def bind(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values in the order of the text's places."""
        # SQLAlchemy drops conditions that are always true, and their values are then not bound.
        if self.in_order and len(values) == len(self.places):
            return tuple(values)
        return tuple([values[index] for index in self.places])


def statement_cache() -> ByteCache[Statement]:
    """A new cache for the statements of all tables of an adapter."""
    return ByteCache(_CACHED_BYTES)


class Statements:
    """The compiled statements of one table.

    :param cache: holds the statements; shared with other tables.
    """

    def __init__(self, schema: TableSchema, dialect: SqlDialect, cache: ByteCache[Statement]) -> None:
        self._schema = schema
        self._source = _placed(schema.source) if dialect.has_schemas else _unplaced(schema.source)
        self._dialect = dialect
        self._cache = cache
        self._conditions = Conditions(schema, self._source, dialect)
        self.shape = self._conditions.shape

    def get(self, columns: tuple[str, ...], *, lock: bool = False) -> Statement:
        """Select by key. Values: one per column of the key."""

        def build() -> Any:
            params = Params()
            rows = self._select(columns).where(*[column == params.next() for column in self._named(self._schema.key)])
            return rows.with_for_update() if lock else rows

        return self._cached(("get", columns, lock), build)

    def select(
        self,
        columns: tuple[str, ...],
        where: Shape | None,
        order: tuple[Order, ...],
        limit: bool,
        offset: bool,
        group: tuple[str, ...] = (),
        *,
        lock: bool = False,
    ) -> Statement:
        """Select rows, or groups with their count last. Values: those of the filter, the limit, the offset."""

        def build() -> Any:
            params = Params()
            rows = self._select(columns)
            if group:
                rows = self._grouped(rows.add_columns(sa.func.count()), group)
            rows = rows.where(self._conditions.compiled(where, params)).order_by(
                *[self._conditions.sort_key(key) for key in order]
            )
            rows = _ranged(rows, params, limit, offset)
            return rows.with_for_update() if lock else rows

        return self._cached(("select", columns, where, order, limit, offset, group, lock), build)

    def count(self, where: Shape | None, group: tuple[str, ...] = ()) -> Statement:
        """Count rows or groups. Values: those of the filter."""

        def build() -> Any:
            condition = self._conditions.compiled(where, Params())
            if group:
                groups = self._grouped(sa.select(sa.literal_column("1")), group).where(condition)
                return sa.select(sa.func.count()).select_from(groups.subquery())
            return sa.select(sa.func.count()).select_from(self._source).where(condition)

        return self._cached(("count", where, group), build)

    def insert(self, columns: tuple[str, ...], returning: tuple[str, ...]) -> Statement:
        """Insert one row. Values: one per column."""

        def build() -> Any:
            return self._returning(self._insert(columns, Params()), returning)

        return self._cached(("insert", columns, returning), build)

    def upsert(
        self,
        columns: tuple[str, ...],
        changed: tuple[str, ...],
        returning: tuple[str, ...],
        same: tuple[str, ...] = (),
        by: tuple[str, ...] = (),
        touched: tuple[str, ...] = (),
        *,
        timed: bool = False,
    ) -> Statement:
        """Insert a row, or if a row has its values of ``by``, update ``changed`` and increment the version.

        ``by`` is the table's key by default.
        Values: one per column, then one for each of ``touched``, which only an update sets. A version in ``changed`` is
        set instead. An existing row that differs in a column of ``same`` is not changed. If ``timed``, an update does
        not set ``updated_at`` back; then the last value is the time up to which a stored one is believed.
        """
        by = by or self._schema.key

        def build() -> Any:
            params = Params()
            statement = self._insert(columns, params)
            # Those by which the row was found are equal. One that was set would lock the row against who refers to it,
            # and one that the database always makes cannot be set.
            values = self._next_version() | {name: statement.excluded[name] for name in changed if name not in by}
            values |= {name: params.next(self._source.c[name].type) for name in touched}
            if timed:
                values |= self._not_before(statement.excluded.updated_at, params)
            if not values:
                values = {by[0]: statement.excluded[by[0]]}
            equal = [self._source.c[name] == statement.excluded[name] for name in same]
            statement = statement.on_conflict_do_update(
                index_elements=self._named(by), set_=values, where=sa.and_(*equal) if equal else None
            )
            return self._returning(statement, returning)

        return self._cached(("upsert", columns, changed, returning, same, by, touched, timed), build)

    def upsert_together(self, columns: tuple[str, ...]) -> Statement:
        """Insert rows, replacing rows of their keys. Values: all rows as one, as the dialect has it."""
        rows_of = self._dialect.rows_of
        assert rows_of is not None, "only asked for by who has found that there is one"

        def build() -> Any:
            given = rows_of(self._source, columns, Params().next(sa.Text()))
            statement = self._dialect.insert(self._source).from_select(list(columns), sa.select(given))
            values = {name: statement.excluded[name] for name in columns if name not in self._schema.key}
            if not values:
                return statement.on_conflict_do_nothing(index_elements=self._named(self._schema.key))
            return statement.on_conflict_do_update(index_elements=self._named(self._schema.key), set_=values)

        return self._cached(("upsert_together", columns), build)

    def recount(self) -> Statement:
        """Set the version and the time of a record, unless it has that version. Values: both, the key, the version."""

        def build() -> Any:
            params, columns = Params(), self._source.c
            names = [name for name in ("version", "updated_at") if name in columns]
            values = {name: params.next(columns[name].type) for name in names}
            record = [columns[name] == params.next(columns[name].type) for name in self._schema.key]
            counted = columns.version != params.next(columns.version.type)
            return sa.update(self._source).values(values).where(*record, counted)

        return self._cached(("recount",), build)

    def insert_new(self, columns: tuple[str, ...], returning: tuple[str, ...], by: tuple[str, ...]) -> Statement:
        """Insert unless a row has the values of ``by``; a value per column."""

        def build() -> Any:
            statement = self._insert(columns, Params()).on_conflict_do_nothing(index_elements=self._named(by))
            return self._returning(statement, returning)

        return self._cached(("insert_new", columns, returning, by), build)

    def update(
        self,
        columns: tuple[str, ...],
        where: Shape | None,
        returning: tuple[str, ...],
        reset: tuple[str, ...] = (),
        *,
        timed: bool = False,
    ) -> Statement:
        """Update rows. Values: one per column, then those of the filter.

        The columns of ``reset`` are set to the database's own default. If ``timed``, ``updated_at`` is not set back;
        then the value after those of the columns is the time up to which a stored one is believed.
        """

        def build() -> Any:
            params = Params()
            values: dict[str, Any] = {name: params.next(self._source.c[name].type) for name in columns}
            if timed:
                values |= self._not_before(values["updated_at"], params)
            values |= {name: made for name in reset if (made := self._server_default(name)) is not None}
            statement = sa.update(self._source).values(values | self._next_version())
            return self._returning(statement.where(self._conditions.compiled(where, params)), returning)

        return self._cached(("update", columns, where, returning, reset, timed), build)

    def delete(self, where: Shape | None, returning: tuple[str, ...]) -> Statement:
        """Delete rows. Values: those of the filter."""

        def build() -> Any:
            return self._returning(sa.delete(self._source).where(self._conditions.compiled(where, Params())), returning)

        return self._cached(("delete", where, returning), build)

    def _named(self, columns: tuple[str, ...]) -> list[sa.Column[Any]]:
        return [self._source.c[name] for name in columns]

    def _outputs(self, columns: tuple[str, ...]) -> list[Expression]:
        return [self._readable(name) for name in columns]

    def _readable(self, name: str) -> Expression:
        """The column; an enumeration type of the database as text, which it is to all others."""
        source = self._source.c[name]
        if self._dialect.has_enums and is_native_enum(source.type):
            return sa.cast(source, sa.Text()).label(name)
        if self._dialect.has_arrays and isinstance(source.type, sa.ARRAY) and is_native_enum(source.type.item_type):
            return sa.cast(source, sa.ARRAY(sa.Text())).label(name)
        return source

    def _select(self, columns: tuple[str, ...]) -> sa.Select[Any]:
        return sa.select(*self._outputs(columns))

    def _grouped(self, statement: sa.Select[Any], group: tuple[str, ...]) -> sa.Select[Any]:
        return statement.select_from(self._source).group_by(*self._named(group))

    def _insert(self, columns: tuple[str, ...], params: Params) -> Any:
        values = {name: params.next(self._source.c[name].type) for name in columns}
        return self._dialect.insert(self._source).values(values)

    def _returning(self, statement: Any, columns: tuple[str, ...]) -> Any:
        return statement.returning(*self._outputs(columns)) if columns else statement

    def _server_default(self, name: str) -> Expression | None:
        """The default of a column; None for one that no statement can set, such as of a generated column."""
        if self._dialect.default_keyword:
            return sa.literal_column("DEFAULT")
        make: Any = self._dialect.compiler.ddl_compiler
        compiler = make(self._dialect.compiler, None)
        text = compiler.get_column_default_string(self._source.c[name])
        return None if text is None else sa.literal_column(f"({text})")

    def _next_version(self) -> dict[str, Any]:
        return {"version": self._source.c.version + sa.literal_column("1")} if self._schema.versioned else {}

    def _not_before(self, now: Any, params: Params) -> dict[str, Any]:
        """The time of a change, as :func:`database.core.clock.not_before` defines it."""
        last = self._source.c.updated_at
        believed = sa.and_(last > now, last <= params.next(last.type))
        return {"updated_at": sa.case((believed, last), else_=now)}

    def _cached(self, shape: Shape, build: Callable[[], Any]) -> Statement:
        key = (self._schema.name, shape)
        statement = self._cache.get(key)
        if statement is None:
            statement = self._compile(build())
            self._cache.put(key, statement, footprint(key) + footprint(statement))
        return statement

    def _compile(self, statement: Any) -> Statement:
        compiled = statement.compile(dialect=self._dialect.compiler)
        places = tuple(int(name.removeprefix("v")) for name in compiled.positiontup)
        text = str(compiled)
        if isinstance(statement, sa.Insert) and self._dialect.overrides and self._schema.always_numbered:
            # SQLAlchemy has no words for it. Without a key in the statement, it has no effect.
            text = re.sub(r"\) (VALUES \(|SELECT )", r") OVERRIDING SYSTEM VALUE \1", text, count=1)
        return Statement(text, places, places == tuple(range(len(places))))


def _placed(table: sa.Table) -> sa.Table:
    """The table with its schema, if it is one of Isthmus' own."""
    if not internal_tables.is_own(table.name):
        return table
    return internal_tables.placed().tables[".".join(internal_tables.place(table.name))]


def _unplaced(table: sa.Table) -> sa.Table:
    """The table without its schema, of which the database has none."""
    return table if table.schema is None else table.to_metadata(sa.MetaData(), schema=None)  # type: ignore[arg-type]  # it takes None, too


def _ranged(statement: sa.Select[Any], params: Params, limit: bool, offset: bool) -> sa.Select[Any]:
    if not limit and not offset:
        return statement
    # Set both: SQLAlchemy's SQLite compiler would bind the missing one as a parameter of its own.
    statement = statement.limit(params.next(sa.BigInteger()) if limit else sa.literal_column(str(INTEGER_MAX)))
    return statement.offset(params.next(sa.BigInteger()) if offset else sa.literal_column("0"))

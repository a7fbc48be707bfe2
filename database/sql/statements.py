"""Statements compiled once per shape.

A shape is an operation without its values: table, columns, operators, order, whether there is a limit. SQLAlchemy
compiles a shape to the dialect's SQL once; later calls take the text from a dictionary and only bind the values. The
driver caches prepared statements by their text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from itertools import count
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from database import internal_tables
from database.core.caching import ByteCache
from database.core.caching import footprint
from database.core.kinds.arrays import Arrays
from database.core.kinds.enums import is_native_enum
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import TEXT
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.tables.schema import TableSchema
from database.sql.dialect import Expression
from database.sql.dialect import SqlDialect

Shape = tuple[Any, ...]

STAGED = "isthmus_staged"
"""The temporary table from which many rows are written by one statement."""

_CACHED_BYTES = 8 << 20

# As text, because SQLAlchemy leaves out what its own constants decide, and the values of that would stay behind.
_TRUE: Expression = sa.literal_column("(1 = 1)")
_FALSE: Expression = sa.literal_column("(1 = 0)")

_PLAIN: dict[str, Callable[[Expression, Expression], Expression]] = {
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
}


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

    def get(self, columns: tuple[str, ...], *, lock: bool = False) -> Statement:
        """Select by key. Values: one per column of the key."""

        def build() -> Any:
            params = _Params()
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
            params = _Params()
            rows = self._select(columns)
            if group:
                rows = self._grouped(rows.add_columns(sa.func.count()), group)
            rows = rows.where(self._condition(where, params)).order_by(*[self._sort_key(key) for key in order])
            rows = _ranged(rows, params, limit, offset)
            return rows.with_for_update() if lock else rows

        return self._cached(("select", columns, where, order, limit, offset, group, lock), build)

    def count(self, where: Shape | None, group: tuple[str, ...] = ()) -> Statement:
        """Count rows or groups. Values: those of the filter."""

        def build() -> Any:
            condition = self._condition(where, _Params())
            if group:
                groups = self._grouped(sa.select(sa.literal_column("1")), group).where(condition)
                return sa.select(sa.func.count()).select_from(groups.subquery())
            return sa.select(sa.func.count()).select_from(self._source).where(condition)

        return self._cached(("count", where, group), build)

    def insert(self, columns: tuple[str, ...], returning: tuple[str, ...]) -> Statement:
        """Insert one row. Values: one per column."""

        def build() -> Any:
            return self._returning(self._insert(columns, _Params()), returning)

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
            params = _Params()
            statement = self._insert(columns, params)
            # A key by which the row was found is equal, and one that the database always makes cannot be set.
            found = set(by).intersection(self._schema.key)
            values = self._next_version() | {name: statement.excluded[name] for name in changed if name not in found}
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

    def upsert_staged(self, columns: tuple[str, ...]) -> Statement:
        """Insert the rows of the temporary table :data:`STAGED`, replacing rows of their keys; without values."""

        def build() -> Any:
            staged = sa.table(STAGED, *map(sa.column, columns))
            statement = self._dialect.insert(self._source).from_select(list(columns), sa.select(staged))
            values = {name: statement.excluded[name] for name in columns if name not in self._schema.key}
            if not values:
                return statement.on_conflict_do_nothing(index_elements=self._named(self._schema.key))
            return statement.on_conflict_do_update(index_elements=self._named(self._schema.key), set_=values)

        return self._cached(("upsert_staged", columns), build)

    def recount(self) -> Statement:
        """Set the version and the time of a record, unless it has that version. Values: both, the key, the version."""

        def build() -> Any:
            params, columns = _Params(), self._source.c
            names = [name for name in ("version", "updated_at") if name in columns]
            values = {name: params.next(columns[name].type) for name in names}
            record = [columns[name] == params.next(columns[name].type) for name in self._schema.key]
            counted = columns.version != params.next(columns.version.type)
            return sa.update(self._source).values(values).where(*record, counted)

        return self._cached(("recount",), build)

    def insert_new(self, columns: tuple[str, ...], returning: tuple[str, ...], by: tuple[str, ...]) -> Statement:
        """Insert unless a row has the values of ``by``; a value per column."""

        def build() -> Any:
            statement = self._insert(columns, _Params()).on_conflict_do_nothing(index_elements=self._named(by))
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
            params = _Params()
            values: dict[str, Any] = {name: params.next(self._source.c[name].type) for name in columns}
            if timed:
                values |= self._not_before(values["updated_at"], params)
            values |= {name: made for name in reset if (made := self._server_default(name)) is not None}
            statement = sa.update(self._source).values(values | self._next_version())
            return self._returning(statement.where(self._condition(where, params)), returning)

        return self._cached(("update", columns, where, returning, reset, timed), build)

    def delete(self, where: Shape | None, returning: tuple[str, ...]) -> Statement:
        """Delete rows. Values: those of the filter."""

        def build() -> Any:
            return self._returning(sa.delete(self._source).where(self._condition(where, _Params())), returning)

        return self._cached(("delete", where, returning), build)

    def shape(self, where: Filter | None, values: list[Any]) -> Shape | None:
        """The shape of a checked filter; appends its encoded values to ``values``."""
        if where is None:
            return None
        if isinstance(where, Where):
            return self._shape_of_condition(where, values)
        if isinstance(where, Not):
            return ("not", self.shape(where.part, values))
        parts = where.parts  # type: ignore[attr-defined]  # And or Or: the check has refused all others
        return ("and" if isinstance(where, And) else "or", *[self.shape(part, values) for part in parts])

    def _shape_of_condition(self, where: Where, values: list[Any]) -> Shape:
        column, operator, value = where.column, where.operator, where.value
        kind = self._schema.columns[column].kind
        if operator == "is_null":
            return ("is_null", column, value)
        encode = self._dialect.operands.get((operator, kind)) or self._dialect.encoder(kind)
        if operator == "in":
            # The list is one parameter, so that lists of all lengths share a shape.
            values.append(self._dialect.bound_list(list(map(encode, value)) if encode else list(value)))
            return ("in", column)
        values.append(encode(value) if encode else value)
        return (self._dialect.variant(operator, kind, value), column)

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

    def _insert(self, columns: tuple[str, ...], params: _Params) -> Any:
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

    def _not_before(self, now: Any, params: _Params) -> dict[str, Any]:
        """The time of a change, as :func:`database.core.clock.not_before` defines it."""
        last = self._source.c.updated_at
        believed = sa.and_(last > now, last <= params.next(last.type))
        return {"updated_at": sa.case((believed, last), else_=now)}

    def _sort_key(self, key: Order) -> Expression:
        column = self._comparable(key.column)
        directed = column.desc() if key.descending else column.asc()
        if not self._schema.columns[key.column].nullable:
            return directed
        return directed.nulls_first() if key.nulls_first else directed.nulls_last()

    def _comparable(self, name: str) -> Expression:
        """The column, with the collation for comparison by code point if it is not declared with it."""
        column = self._schema.columns[name]
        collation = self._dialect.explicit_collation
        source = self._source.c[name]
        # A uuid has no collation and sorts like its text.
        if column.kind is not TEXT or collation is None or isinstance(source.type, sa.Uuid):
            return source
        if self._dialect.has_enums and is_native_enum(source.type):
            return sa.collate(sa.cast(source, sa.Text()), collation)
        declared = source.type.dialect_impl(self._dialect.compiler)
        return source if getattr(declared, "collation", None) == collation else sa.collate(source, collation)

    def _condition(self, shape: Shape | None, params: _Params) -> Expression:
        if shape is None:
            return sa.true()
        operator, *rest = shape
        if operator in {"and", "or"}:
            parts = [self._condition(part, params) for part in rest]
            if not parts:
                return _TRUE if operator == "and" else _FALSE
            return sa.and_(*parts) if operator == "and" else sa.or_(*parts)
        if operator == "not":
            return sa.not_(self._condition(rest[0], params).self_group())
        return self._comparison(operator, rest[0], rest[1:], params)

    def _comparison(self, operator: str, name: str, extra: Sequence[Any], params: _Params) -> Expression:
        source = self._source.c[name]
        if operator == "is_null":
            return source.is_(None) if extra[0] else source.is_not(None)
        if operator == "in":
            return self._dialect.member(source, params.next)
        kind = self._schema.columns[name].kind
        build = self._dialect.operators.get((operator, Arrays if isinstance(kind, Arrays) else kind))
        if build is not None:
            return build(source, params.next())
        column = source if operator in {"eq", "neq"} else self._comparable(name)
        return _PLAIN[operator](column, params.next(column.type))

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


class _Params:
    """Bound parameters named by the index of their value."""

    def __init__(self) -> None:
        self._indexes: Iterator[int] = count()

    def next(self, type_: sa.types.TypeEngine[Any] | None = None) -> sa.BindParameter[Any]:
        return sa.bindparam(f"v{next(self._indexes)}", type_=type_)


def _placed(table: sa.Table) -> sa.Table:
    """The table with its schema, if it is one of Isthmus' own."""
    if not internal_tables.is_own(table.name):
        return table
    return internal_tables.placed().tables[".".join(internal_tables.place(table.name))]


def _unplaced(table: sa.Table) -> sa.Table:
    """The table without its schema, of which the database has none."""
    return table if table.schema is None else table.to_metadata(sa.MetaData(), schema=None)  # type: ignore[arg-type]  # it takes None, too


def _ranged(statement: sa.Select[Any], params: _Params, limit: bool, offset: bool) -> sa.Select[Any]:
    if not limit and not offset:
        return statement
    # Set both: SQLAlchemy's SQLite compiler would bind the missing one as a parameter of its own.
    statement = statement.limit(params.next(sa.BigInteger()) if limit else sa.literal_column(str(INTEGER_MAX)))
    return statement.offset(params.next(sa.BigInteger()) if offset else sa.literal_column("0"))

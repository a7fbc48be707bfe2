"""Estimates how large a caller's SQL becomes while a database plans it, which no deadline interrupts.

While planning, databases replace names by their definitions: a column of a derived table by its expression, a common
table expression by its query at each use. So a few hundred characters can expand to gigabytes. The size is computed in
one walk without this expansion: each definition is measured once, and its size is added at each use.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import NamedTuple

from sqlglot import exp

from database.core.errors import InvalidQuery
from database.translation.plain_names import sources

MAX_SIZE: Final = 20_000
"""The most parts of a statement: no allowed text of this size takes more than half a second and 100 MB to plan."""

PART: Final = 700
"""The weight of expensive parts: queries and tables, which are planned; windows, which are compared with all others;
and ``||``, each of which copies the whole value before it."""

MAX_LISTED: Final = 8
"""The most comma-separated tables: PostgreSQL tries all join orders of these, regardless of ``join_collapse_limit``.
The parser reads SQLite's commas as cross joins, which are harmless there."""

_UNNAMED: Final = ""
_EXPENSIVE: Final = (exp.Select, exp.Window, exp.DPipe)
_ELSEWHERE: Final = frozenset({"with_", "from_", "joins", "using", "expressions", "returning"})
"""The parts of a statement that are measured separately."""

Columns = Mapping[str, int]


class _Made(NamedTuple):
    """The columns of a table or a query, as seen by the query that reads it.

    :ivar columns: the sizes of the columns that are computed rather than stored.
    :ivar every: the size of all columns together.
    :ivar queries: how often the reading query is planned: a ``union all`` repeats it for each of its parts.
    """

    columns: Columns
    every: int
    queries: int = 1


class _Names(NamedTuple):
    """The names in the scope of one query.

    :ivar sources: the columns of each table and derived table, by its name.
    :ivar columns: the columns of all sources together.
    :ivar largest: the size of the query's largest output, to which a number in ORDER BY may refer.
    """

    sources: Mapping[str, Columns]
    columns: Columns
    largest: int = 1


class _Scope(NamedTuple):
    """The names of all enclosing queries, innermost first, and the common table expressions with their sizes."""

    names: tuple[_Names, ...] = ()
    commons: Mapping[str, tuple[_Made, int]] = {}


def check_size(root: exp.Expr, tables: Mapping[str, Collection[str]]) -> None:
    """Refuse a statement that is too large to plan.

    :param tables: the columns of each stored table that the statement uses.
    :raises InvalidQuery: names the limit.
    """
    _Measure(tables).query(root, _Scope())


class _Measure:
    """Measures one statement; stops as soon as it is too large."""

    def __init__(self, tables: Mapping[str, Collection[str]]) -> None:
        self._tables = tables
        self._size = 0

    def query(self, node: exp.Expr, scope: _Scope, times: int = 1) -> _Made:
        """Measure a query or a change, counted ``times`` times, and return its columns."""
        scope = self._with_commons(node, scope)
        if isinstance(node, exp.Subquery):
            made = self._source(node.this, scope, times)
            self._rest(node, scope, times, made)
            return made
        if isinstance(node, exp.SetOperation):
            return self._union(node, scope, times)
        return self._select(node, scope, times)

    def _add(self, size: int) -> None:
        self._size += size
        if self._size > MAX_SIZE:
            raise InvalidQuery(
                "the statement is too large: when each WITH expression and derived column is expanded at its uses, it"
                f" has more than {MAX_SIZE:,} parts, where each query, table, window and || counts as {PART}; simplify"
                " it or split it into several statements"
            )

    def _with_commons(self, node: exp.Expr, scope: _Scope) -> _Scope:
        clause = node.args.get("with_")
        if clause is None:
            return scope
        commons = dict(scope.commons)
        for common in clause.expressions:
            before = self._size
            made = self.query(common.this, _Scope(scope.names, commons))
            commons[common.alias] = (_renamed(made, common), self._size - before)
            # It is counted at each use.
            self._size = before
        return _Scope(scope.names, commons)

    def _union(self, node: exp.SetOperation, scope: _Scope, times: int) -> _Made:
        parts: list[exp.Expr] = []
        left: exp.Expr = node
        while isinstance(left, exp.SetOperation) and (left is node or not left.args.get("with_")):
            parts.append(left.expression)
            left = left.this
        made = self.query(left, scope, times)
        for part in parts:
            other = self.query(part, scope, times)
            largest = max(_largest(other.columns), _largest(made.columns))
            columns = dict.fromkeys({*made.columns, _UNNAMED}, largest) if largest > 1 else made.columns
            made = _Made(columns, max(made.every, other.every), made.queries + other.queries)
        self._rest(node, scope, times, made)
        return made

    def _rest(self, node: exp.Expr, scope: _Scope, times: int, made: _Made) -> None:
        """Measure the ORDER BY and LIMIT of a query whose columns are known."""
        names = _Names({}, made.columns, _largest(made.columns))
        for name, part in node.args.items():
            if name not in {"this", "expression", "with_", "alias"}:
                self._parts(part, _Scope((names, *scope.names), scope.commons), times)

    def _select(self, node: exp.Expr, scope: _Scope, times: int) -> _Made:
        if isinstance(node, exp.Select):
            self._add(PART * times)
        _check_list(node)
        found = [(source.alias_or_name, self._source(source, scope, times)) for source in sources(node)]
        queries = 1
        for _, made in found:
            queries *= made.queries
        names = _all_names(found)
        inside = _Scope((names, *scope.names), scope.commons)
        returning = node.args.get("returning")
        shown = returning if returning is not None else node if isinstance(node, exp.Select) else None
        made = self._columns(shown.expressions if shown else (), found, inside, times * queries)
        own = _Names(names.sources, _largest_of(names.columns, made.columns), _largest(made.columns))
        inside = _Scope((own, *scope.names), scope.commons)
        for name, part in node.args.items():
            if name not in _ELSEWHERE or (name == "expressions" and shown is not node):
                self._parts(part, inside, times * queries)
        for join in node.args.get("joins") or ():
            self._parts(join.args.get("on"), inside, times * queries)
        return _Made(made.columns, made.every, queries)

    def _source(self, node: exp.Expr, scope: _Scope, times: int) -> _Made:
        """Measure a table, or a query in its place, and return its columns."""
        if isinstance(node, exp.Table):
            self._add(PART * times)
            made, size = scope.commons.get(node.name, (None, 0)) if not node.db else (None, 0)
            self._add(size * times)
            if made is None:
                made = _Made({}, len(self._tables.get(node.name, ())))
        elif isinstance(node, exp.Values):
            self._add(PART * times)
            made = self._rows(node, scope, times)
        else:
            made = self.query(node, scope, times)
        return _renamed(made, node)

    def _rows(self, node: exp.Values, scope: _Scope, times: int) -> _Made:
        sizes = [self._parts(row, scope, times) for row in node.expressions]
        largest = max(sizes, default=1)
        return _Made({_UNNAMED: largest}, largest)

    def _columns(self, shown: Iterable[exp.Expr], found: list[tuple[str, _Made]], scope: _Scope, times: int) -> _Made:
        columns: dict[str, int] = {}
        every = 0
        for expression in shown:
            starred = _starred(expression, found)
            if starred is None:
                size = self._parts(expression, scope, times)
                _keep(columns, {expression.alias_or_name: size})
                every += size
                continue
            for made in starred:
                self._add(made.every * times)
                _keep(columns, made.columns)
                every += made.every
        return _Made(columns, every)

    def _parts(self, root: Any, scope: _Scope, times: int) -> int:
        """Measure an expression or a list of expressions, and return its size."""
        before = self._size
        left = [(root, times)]
        while left:
            node, times_here = left.pop()
            if isinstance(node, list):
                left.extend([(part, times_here) for part in node])
            elif isinstance(node, exp.Query):
                self.query(node, scope, times_here)
            elif isinstance(node, exp.Expr):
                self._add(_own_size(node, scope.names) * times_here)
                if not isinstance(node, exp.Column):
                    copies = times_here * _copies(node)
                    left.extend([(part, copies) for part in node.iter_expressions()])
        return (self._size - before) // times


def _own_size(node: exp.Expr, names: tuple[_Names, ...]) -> int:
    if isinstance(node, exp.Column):
        return _column_size(node, names)
    if isinstance(node, exp.Identifier | exp.Alias):
        return 0
    if isinstance(node, exp.Literal) and isinstance(node.parent, exp.Group | exp.Ordered):
        return names[0].largest if names else 1
    return PART if isinstance(node, _EXPENSIVE) else 1


def _copies(node: exp.Expr) -> int:
    """How often PostgreSQL copies the parts of an expression."""
    if isinstance(node, exp.Between):
        return 4 if node.args.get("symmetric") else 2
    if isinstance(node, exp.In):
        return 1 + sum(not isinstance(one, exp.Literal | exp.Placeholder) for one in node.expressions)
    return 1


def _column_size(column: exp.Column, names: tuple[_Names, ...]) -> int:
    """The size of a column's definition in the innermost query that has the name."""
    name, source = column.name, column.table
    for near in names:
        if source and source in near.sources:
            known = near.sources[source]
            return known.get(name, known.get(_UNNAMED, 1))
        if not source and name in near.columns:
            return near.columns[name]
    return max([near.columns.get(_UNNAMED, 1) for near in names], default=1)


def _starred(expression: exp.Expr, found: list[tuple[str, _Made]]) -> list[_Made] | None:
    """The sources of a star; None for other expressions."""
    if isinstance(expression, exp.Star):
        return [made for _, made in found]
    if isinstance(expression, exp.Column) and isinstance(expression.this, exp.Star):
        return [made for name, made in found if name == expression.table]
    return None


def _all_names(found: list[tuple[str, _Made]]) -> _Names:
    by_source: dict[str, dict[str, int]] = {}
    together: dict[str, int] = {}
    for source, made in found:
        _keep(by_source.setdefault(source, {}), made.columns)
        for name, size in made.columns.items():
            # A full join with USING combines the columns of both sides by COALESCE.
            together[name] = together.get(name, 0) + size
    return _Names(by_source, together)


def _renamed(made: _Made, source: exp.Expr) -> _Made:
    """The columns under the names that the alias lists."""
    alias = source.args.get("alias")
    listed = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    return made._replace(columns={_UNNAMED: _largest(made.columns)}) if listed else made


def _check_list(query: exp.Expr) -> None:
    joins = query.args.get("joins") or ()
    listed = 1 + sum(not any(join.args.get(how) for how in ("on", "using", "side", "kind")) for join in joins)
    if listed > MAX_LISTED:
        raise InvalidQuery(f"FROM must have at most {MAX_LISTED} tables between commas, not {listed}; use JOIN ... ON")


def _keep(known: dict[str, int], columns: Columns) -> None:
    for name, size in columns.items():
        known[name] = max(known.get(name, 1), size)


def _largest_of(one: Columns, other: Columns) -> Columns:
    merged = dict(one)
    _keep(merged, other)
    return merged


def _largest(columns: Columns) -> int:
    return max(columns.values(), default=1)

"""How large a caller's SQL becomes while a database prepares it, which no deadline ends.

Databases put what a name stands for in its place: a column of a derived table becomes its expression, and a common
table expression becomes its query at each use. A few hundred characters can stand for gigabytes in that way. The size
is found in one walk, without doing so: what has a name is measured once, and counts again wherever the name stands.
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
"""Parts of a statement: no longer text that makes them all takes more than half a second and 100 MB to prepare."""

PART: Final = 700
"""What costs as much as so many other parts: a query and a table, for which a plan is made; a window, which is compared
with all others; ``||``, each of which makes a value as long as all before it."""

MAX_LISTED: Final = 8
"""Tables between commas: PostgreSQL looks at all orders of these, whatever its ``join_collapse_limit`` says. To the
parser of SQLite, which does not mind, a comma is a cross join."""

_UNNAMED: Final = ""
_EXPENSIVE: Final = (exp.Select, exp.Window, exp.DPipe)
_ELSEWHERE: Final = frozenset({"with_", "from_", "joins", "using", "expressions", "returning"})
"""The parts of a statement that are measured in a way of their own."""

Columns = Mapping[str, int]


class _Made(NamedTuple):
    """What a table or a query offers to those who name it.

    :ivar columns: the sizes of those columns that are more than a stored one.
    :ivar every: the size of all columns together.
    :ivar queries: how many the database makes of one that reads it, as ``union all`` has the reader's work done in
        each of its parts.
    """

    columns: Columns
    every: int
    queries: int = 1


class _Names(NamedTuple):
    """What can be named at one place of a statement.

    :ivar sources: the columns of each, by its name.
    :ivar columns: those of all together.
    :ivar largest: the size of the largest column of the query itself, which a number in its order stands for.
    """

    sources: Mapping[str, Columns]
    columns: Columns
    largest: int = 1


class _Sight(NamedTuple):
    """All that can be named: the names of each query around, the nearest first, and the common table expressions with
    their sizes.
    """

    names: tuple[_Names, ...] = ()
    commons: Mapping[str, tuple[_Made, int]] = {}


def check_size(root: exp.Expr, tables: Mapping[str, Collection[str]]) -> None:
    """Refuse a statement that is too large to be prepared.

    :param tables: the columns of each stored table that it uses.
    :raises InvalidQuery: says the limit.
    """
    _Measure(tables).query(root, _Sight())


class _Measure:
    """The measuring of one statement, which ends as soon as it is too large."""

    def __init__(self, tables: Mapping[str, Collection[str]]) -> None:
        self._tables = tables
        self._size = 0

    def query(self, node: exp.Expr, sight: _Sight, times: int = 1) -> _Made:
        """What a query or a change makes; it is counted so many ``times``."""
        sight = self._with_commons(node, sight)
        if isinstance(node, exp.Subquery):
            made = self._source(node.this, sight, times)
            self._rest(node, sight, times, made)
            return made
        if isinstance(node, exp.SetOperation):
            return self._union(node, sight, times)
        return self._select(node, sight, times)

    def _add(self, size: int) -> None:
        self._size += size
        if self._size > MAX_SIZE:
            raise InvalidQuery(
                "the statement is too large: with each WITH expression and derived column put in where it is used, it"
                f" has more than {MAX_SIZE:,} parts, of which a query, a table, a window and || count {PART} each and"
                " all else 1; ask for less in one statement"
            )

    def _with_commons(self, node: exp.Expr, sight: _Sight) -> _Sight:
        clause = node.args.get("with_")
        if clause is None:
            return sight
        commons = dict(sight.commons)
        for common in clause.expressions:
            before = self._size
            made = self.query(common.this, _Sight(sight.names, commons))
            commons[common.alias] = (_renamed(made, common), self._size - before)
            # It counts where it is used.
            self._size = before
        return _Sight(sight.names, commons)

    def _union(self, node: exp.SetOperation, sight: _Sight, times: int) -> _Made:
        parts: list[exp.Expr] = []
        left: exp.Expr = node
        while isinstance(left, exp.SetOperation) and (left is node or not left.args.get("with_")):
            parts.append(left.expression)
            left = left.this
        made = self.query(left, sight, times)
        for part in parts:
            other = self.query(part, sight, times)
            largest = max(_largest(other.columns), _largest(made.columns))
            columns = dict.fromkeys({*made.columns, _UNNAMED}, largest) if largest > 1 else made.columns
            made = _Made(columns, max(made.every, other.every), made.queries + other.queries)
        self._rest(node, sight, times, made)
        return made

    def _rest(self, node: exp.Expr, sight: _Sight, times: int, made: _Made) -> None:
        """The order and the limit of a query that has columns already."""
        names = _Names({}, made.columns, _largest(made.columns))
        for name, part in node.args.items():
            if name not in {"this", "expression", "with_", "alias"}:
                self._parts(part, _Sight((names, *sight.names), sight.commons), times)

    def _select(self, node: exp.Expr, sight: _Sight, times: int) -> _Made:
        if isinstance(node, exp.Select):
            self._add(PART * times)
        _check_list(node)
        found = [(source.alias_or_name, self._source(source, sight, times)) for source in sources(node)]
        queries = 1
        for _, made in found:
            queries *= made.queries
        names = _all_names(found)
        inside = _Sight((names, *sight.names), sight.commons)
        returning = node.args.get("returning")
        shown = returning if returning is not None else node if isinstance(node, exp.Select) else None
        made = self._columns(shown.expressions if shown else (), found, inside, times * queries)
        own = _Names(names.sources, _largest_of(names.columns, made.columns), _largest(made.columns))
        inside = _Sight((own, *sight.names), sight.commons)
        for name, part in node.args.items():
            if name not in _ELSEWHERE or (name == "expressions" and shown is not node):
                self._parts(part, inside, times * queries)
        for join in node.args.get("joins") or ():
            self._parts(join.args.get("on"), inside, times * queries)
        return _Made(made.columns, made.every, queries)

    def _source(self, node: exp.Expr, sight: _Sight, times: int) -> _Made:
        """What a table offers, or a query in its place."""
        if isinstance(node, exp.Table):
            self._add(PART * times)
            made, size = sight.commons.get(node.name, (None, 0)) if not node.db else (None, 0)
            self._add(size * times)
            if made is None:
                made = _Made({}, len(self._tables.get(node.name, ())))
        elif isinstance(node, exp.Values):
            self._add(PART * times)
            made = self._rows(node, sight, times)
        else:
            made = self.query(node, sight, times)
        return _renamed(made, node)

    def _rows(self, node: exp.Values, sight: _Sight, times: int) -> _Made:
        sizes = [self._parts(row, sight, times) for row in node.expressions]
        largest = max(sizes, default=1)
        return _Made({_UNNAMED: largest}, largest)

    def _columns(self, shown: Iterable[exp.Expr], found: list[tuple[str, _Made]], sight: _Sight, times: int) -> _Made:
        columns: dict[str, int] = {}
        every = 0
        for expression in shown:
            starred = _starred(expression, found)
            if starred is None:
                size = self._parts(expression, sight, times)
                _keep(columns, {expression.alias_or_name: size})
                every += size
                continue
            for made in starred:
                self._add(made.every * times)
                _keep(columns, made.columns)
                every += made.every
        return _Made(columns, every)

    def _parts(self, root: Any, sight: _Sight, times: int) -> int:
        """Count an expression, or a list of them; its size."""
        before = self._size
        left = [(root, times)]
        while left:
            node, times_here = left.pop()
            if isinstance(node, list):
                left.extend([(part, times_here) for part in node])
            elif isinstance(node, exp.Query):
                self.query(node, sight, times_here)
            elif isinstance(node, exp.Expr):
                self._add(_own_size(node, sight.names) * times_here)
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
    """How often PostgreSQL repeats the parts of an expression."""
    if isinstance(node, exp.Between):
        return 4 if node.args.get("symmetric") else 2
    if isinstance(node, exp.In):
        return 1 + sum(not isinstance(one, exp.Literal | exp.Placeholder) for one in node.expressions)
    return 1


def _column_size(column: exp.Column, names: tuple[_Names, ...]) -> int:
    """The size of what a column stands for: in the nearest query that knows its name."""
    name, source = column.name, column.table
    for near in names:
        if source and source in near.sources:
            known = near.sources[source]
            return known.get(name, known.get(_UNNAMED, 1))
        if not source and name in near.columns:
            return near.columns[name]
    return max([near.columns.get(_UNNAMED, 1) for near in names], default=1)


def _starred(expression: exp.Expr, found: list[tuple[str, _Made]]) -> list[_Made] | None:
    """What a star stands for; None for anything else."""
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
            # A full join by USING takes whichever of its columns is there.
            together[name] = together.get(name, 0) + size
    return _Names(by_source, together)


def _renamed(made: _Made, source: exp.Expr) -> _Made:
    """What is made, under the columns' names that its alias lists."""
    alias = source.args.get("alias")
    listed = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    return made._replace(columns={_UNNAMED: _largest(made.columns)}) if listed else made


def _check_list(query: exp.Expr) -> None:
    joins = query.args.get("joins") or ()
    listed = 1 + sum(not any(join.args.get(how) for how in ("on", "using", "side", "kind")) for join in joins)
    if listed > MAX_LISTED:
        raise InvalidQuery(f"at most {MAX_LISTED} tables stand between commas, these are {listed}; use JOIN ... ON")


def _keep(known: dict[str, int], columns: Columns) -> None:
    for name, size in columns.items():
        known[name] = max(known.get(name, 1), size)


def _largest_of(one: Columns, other: Columns) -> Columns:
    merged = dict(one)
    _keep(merged, other)
    return merged


def _largest(columns: Columns) -> int:
    return max(columns.values(), default=1)

"""Resolves the names in a caller's SQL to tables and queries.

PostgreSQL gives unresolved names another meaning: ``table.name`` calls a function of that name, ``table`` alone is the
whole row, and some words are built-in values. A name with several definitions has only the columns that all of them
have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from itertools import chain
from typing import Any
from typing import Final

from sqlglot import exp

_HIDDEN: Final = frozenset({"_rowid_", "cmax", "cmin", "ctid", "oid", "rowid", "tableoid", "xmax", "xmin"})
"""System columns of PostgreSQL and SQLite; they reveal information about rows that the caller may not read."""

_WORDS: Final = frozenset({
    "current_catalog", "current_role", "current_schema", "current_time", "current_user", "localtime", "localtimestamp",
    "session_user", "system_user", "user",
})  # fmt: skip
"""Words that are built-in values of PostgreSQL unless quoted."""

_STARS: Final = (exp.Select, exp.Returning)
"""Nodes in which a star means columns; elsewhere it means a row as one value."""


def unknown_name(root: exp.Expr, tables: Mapping[str, Collection[str]]) -> str | None:
    """Return a name that is neither a column of ``tables`` nor defined by the statement; None if there is none.

    :param tables: the columns of each stored table that the statement uses.
    """
    return next(_Names(root, tables).unknown(), None)


def is_common(table: exp.Table) -> bool:
    """Whether the name refers to a common table expression that is in scope."""
    if table.db:
        return False
    child: exp.Expr = table
    while (parent := child.parent) is not None:
        if any(table.name == common.alias for common in _in_scope(child, parent)):
            return True
        child = parent
    return False


def target(change: exp.Expr) -> exp.Expr:
    """The table that an INSERT, UPDATE or DELETE changes."""
    target: exp.Expr = change.this
    return target.this if isinstance(target, exp.Schema) else target


def _in_scope(child: exp.Expr, parent: exp.Expr) -> list[exp.Expr]:
    """The common table expressions that ``parent`` adds to the scope of its part ``child``."""
    if isinstance(parent, exp.With):
        here = next(index for index, common in enumerate(parent.expressions) if common is child)
        return parent.expressions if parent.recursive else parent.expressions[:here]
    clause = parent.args.get("with_")
    return clause.expressions if isinstance(clause, exp.With) and clause is not child else []


class _Names:
    """The names of one statement."""

    def __init__(self, root: exp.Expr, tables: Mapping[str, Collection[str]]) -> None:
        self._tables = tables
        self._stored = frozenset(name for columns in tables.values() for name in columns)
        # One walk for all kinds of nodes, instead of one walk for each.
        self._nodes: defaultdict[type[exp.Expr], list[Any]] = defaultdict(list)
        for node in root.walk():
            self._nodes[type(node)].append(node)
        self._made = {alias.alias for alias in self._nodes[exp.Alias]}
        self._columns: dict[int, frozenset[str]] = {}
        self._commons: dict[str, frozenset[str]] = {}
        for common in self._nodes[exp.CTE]:
            self._put(self._commons, common.alias, self._of(common))
        self._sources: dict[str, frozenset[str]] = {}
        for source in chain(self._nodes[exp.Table], self._nodes[exp.Subquery], self._nodes[exp.Values]):
            self._put(self._sources, source.alias_or_name, self._of(source))
        for insert in self._nodes[exp.Insert]:
            if insert.args.get("conflict"):
                self._put(self._sources, "excluded", self._of(target(insert)))
        self._shown = self._stored.union(*self._sources.values())

    @staticmethod
    def _put(known: dict[str, frozenset[str]], name: str, columns: frozenset[str]) -> None:
        known[name] = known.get(name, columns) & columns

    def unknown(self) -> Iterator[str]:
        for column in self._nodes[exp.Column]:
            if not self._is_known(column):
                yield column.name
        for star in self._nodes[exp.Star]:
            if not isinstance(star.parent, (*_STARS, exp.Column, exp.Count)):
                yield "*"
        for insert in self._nodes[exp.Insert]:
            filled = insert.this.expressions if isinstance(insert.this, exp.Schema) else ()
            yield from self._unknown_of(filled, self._of(target(insert)))
        for join in self._nodes[exp.Join]:
            yield from self._unknown_of(join.args.get("using") or (), self._shown - _HIDDEN | self._stored)

    @staticmethod
    def _unknown_of(named: Iterable[exp.Expr], known: Collection[str]) -> Iterator[str]:
        """Yield the bare column names that are not ``known``."""
        return (one.name for one in named if one.name not in known)

    def _is_known(self, column: exp.Column) -> bool:
        name, source = column.name, column.table
        if column.args.get("db") or column.args.get("catalog"):
            return False
        if isinstance(column.this, exp.Star):
            return source in self._sources and isinstance(column.parent, _STARS)
        if source:
            return name in self._sources.get(source, ())
        if name in _WORDS and not column.this.args.get("quoted"):
            return False
        if name in self._stored:
            return True
        return name not in _HIDDEN and name in self._sources.get(name, self._shown | self._made)

    def _of(self, source: exp.Expr | None) -> frozenset[str]:
        """The columns of a table or a query."""
        if source is None:
            return frozenset()
        if id(source) not in self._columns:
            # Ends the recursion for a query that refers to itself.
            self._columns[id(source)] = frozenset()
            self._columns[id(source)] = frozenset(self._read(source))
        return self._columns[id(source)]

    def _read(self, source: exp.Expr) -> Iterable[str]:
        alias = source.args.get("alias")
        listed = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
        if listed:
            return [column.name for column in listed]
        if isinstance(source, exp.Table):
            known = self._commons if is_common(source) else self._tables
            return known.get(source.name, ())
        if isinstance(source, exp.CTE | exp.Subquery | exp.SetOperation):
            return self._of(source.this)
        if isinstance(source, exp.Select):
            return self._selected(source, source.expressions)
        returning = source.args.get("returning")
        return self._selected(source, returning.expressions) if returning else ()

    def _selected(self, query: exp.Expr, expressions: Iterable[exp.Expr]) -> Iterator[str]:
        for expression in expressions:
            if isinstance(expression, exp.Star):
                for source in sources(query):
                    yield from self._of(source)
            elif isinstance(expression, exp.Column) and isinstance(expression.this, exp.Star):
                named = [source for source in sources(query) if source.alias_or_name == expression.table]
                yield from (name for source in named for name in self._of(source))
            else:
                yield expression.alias_or_name


def sources(query: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the tables and queries that supply the columns of a query, or of a RETURNING clause."""
    if not isinstance(query, exp.Select):
        yield target(query)
    clause = query.args.get("from_")
    if clause is not None:
        yield clause.this
    yield from (join.this for join in query.args.get("joins") or ())
    yield from query.args.get("using") or ()

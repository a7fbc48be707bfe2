"""Finds the tables that SQL text reads and writes, for backends that execute SQL text unchanged."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Final
from typing import NamedTuple

from sqlglot import exp
from sqlglot.dialects import SQLite
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from database.core.caching import remembered
from database.core.errors import Unsupported
from database.core.query.sql_text import SqlDialectName
from database.core.tables.access_rules import Action
from database.translation.plain_names import is_common
from database.translation.plain_names import target
from database.translation.plain_names import unknown_name
from database.translation.plain_size import check_size
from database.translation.plain_sql import odd_call
from database.translation.plain_sql import odd_syntax
from database.translation.plain_sql import odd_text
from database.translation.syntax import POSTGRES
from database.translation.syntax import numbered

_CACHED_BYTES: Final = 4 << 20
_DIALECTS: Final = {"postgres": POSTGRES, "sqlite": SQLite()}
_SCHEMAS: Final = {"postgres": {"", "public"}, "sqlite": {"", "main"}}
"""The qualifiers under which the declared tables are found."""

_UNREADABLE: Final = "the statement cannot be parsed"
_FIRST: Final = frozenset({"select", "with", "insert", "update", "delete"})
_CHANGES: Final = (exp.Insert, exp.Update, exp.Delete)


class Use(NamedTuple):
    """An action on a table; the name is normalised as the database does it."""

    table: str
    action: Action


def uses(text: str, dialect: SqlDialectName) -> frozenset[Use]:
    """Return the tables that a statement uses, and how; in case of doubt too many rather than too few.

    :raises Unsupported: ``row_security``, for a statement whose use of tables is uncertain.
    """
    return _read(text, dialect)[1]


def require_known_names(text: str, dialect: SqlDialectName, tables: Mapping[str, Collection[str]]) -> None:
    """Refuse a statement with a name that is neither a column of its tables nor defined by the statement.

    :param tables: the columns of each table that the statement uses.
    """
    try:
        unknown = unknown_name(_read(text, dialect)[0], tables)
    except RecursionError:
        raise not_judged(_UNREADABLE) from None
    if unknown is not None:
        raise not_judged(f"{unknown[:64]!r} is not a column of the statement's tables")


def require_size(text: str, dialect: SqlDialectName, tables: Mapping[str, Collection[str]]) -> None:
    """Refuse a statement whose planning would take the database too much time or memory.

    :param tables: the columns of each table that the statement uses.
    :raises InvalidQuery: says what is too large.
    """
    try:
        check_size(_read(text, dialect)[0], tables)
    except RecursionError:
        raise not_judged(_UNREADABLE) from None


# A parsed statement takes many times as much memory as its text.
@remembered(_CACHED_BYTES, lambda text, _: 4000 + 100 * len(text))
def _read(text: str, dialect: SqlDialectName) -> tuple[exp.Expr, frozenset[Use]]:
    try:
        root = normalize_identifiers(_parsed(text, dialect), dialect=dialect)
        return root, frozenset(_uses(root, dialect))
    except (SqlglotError, RecursionError):
        # The parser's own message quotes the text, which may contain values.
        raise not_judged(_UNREADABLE) from None


def not_judged(reason: str) -> Unsupported:
    """The error for a caller's SQL text to which the access rules cannot be applied."""
    way_out = "use table(), or run it as the application: with as_application()"
    return Unsupported("row_security", detail=f"{reason}, so callers may not run this SQL text; {way_out}")


def _parsed(text: str, dialect: SqlDialectName) -> exp.Expr:
    odd = odd_text(text)
    if odd is not None:
        raise not_judged(odd)
    speaker = _DIALECTS[dialect]
    tokens = speaker.tokenize(text)
    if not tokens or tokens[0].text.lower() not in _FIRST:
        raise not_judged("the statement is not a SELECT, INSERT, UPDATE or DELETE")
    parser = speaker.parser()
    called = odd_call(tokens, {*parser.FUNCTIONS, *parser.FUNCTION_PARSERS})
    if called is not None:
        raise not_judged(f"{called[:64]} is not allowed for callers")
    roots = [root for root in parser.parse(list(numbered(tokens)), text) if root is not None]
    if len(roots) != 1 or not isinstance(roots[0], exp.Query | exp.Insert | exp.Update | exp.Delete):
        raise not_judged("the text is not a single SELECT, INSERT, UPDATE or DELETE")
    return roots[0]


def _uses(root: exp.Expr, dialect: SqlDialectName) -> Iterator[Use]:
    for odd in odd_syntax(root):
        raise not_judged(f"{odd[:64]} is not allowed for callers")
    changed = {id(target(change)): _actions(change) for change in root.find_all(*_CHANGES)}
    reading: tuple[Action, ...] = ("read", "write") if root.find(exp.Lock) else ("read",)
    for table in root.find_all(exp.Table):
        actions = changed.get(id(table))
        if actions is None and is_common(table):
            continue
        if table.catalog or table.db not in _SCHEMAS[dialect]:
            raise not_judged(f"{table.db[:64]}.{table.name[:64]} is not a declared table")
        yield from [Use(table.name, action) for action in actions or reading]


def _actions(change: exp.Expr) -> tuple[Action, ...]:
    if isinstance(change, exp.Update):
        return ("read", "write")
    if isinstance(change, exp.Delete):
        return ("read", "delete")
    if change.args.get("alternative"):
        # INSERT OR REPLACE deletes conflicting rows.
        return ("read", "write", "delete")
    return ("read", "write") if change.args.get("conflict") or change.args.get("returning") else ("write",)

"""The SQL that a caller may write: a small language, in which parser and database cannot read different things.

Everything here is a list of what is allowed, of characters as well as of syntax. What is on no list is refused,
whether it would do harm or not.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from collections.abc import Iterator
from typing import Final

from sqlglot import exp

_TOKEN: Final = re.compile(
    r"""
    (?P<space> [ \t\n]+ | --[^\r\n]*(?:\n|\Z) | /\*(?:(?!/\*|\*/)[^\r])*\*/ )
  | (?P<string> '(?:[^'\\\0]|'')*' )
  | (?P<word> [A-Za-z_][A-Za-z0-9_]{0,62} | "[A-Za-z_][A-Za-z0-9_ ]{0,62}" )
  | (?P<number> \d+(?:\.\d+)?(?:[eE][+-]?\d+)? )
  | (?P<sign> ->>? | <> | != | <= | >= | \|\| | :: | -(?!-) | /(?!\*) | \*(?!/) | [(),.=<>+%?] )
    """,
    re.X | re.S,
)

_APART: Final = frozenset({"string", "word", "number"})
_WORD_ENDS: Final = re.compile("[A-Za-z0-9_]")

_FUNCTIONS: Final[frozenset[str]] = frozenset(
    [
        "Abs",
        "Avg",
        "Ceil",
        "Coalesce",
        "Count",
        "CurrentDate",
        "CurrentTimestamp",
        "DenseRank",
        "Floor",
        "Greatest",
        "Lag",
        "Lead",
        "Least",
        "Length",
        "Lower",
        "Max",
        "Min",
        "Nullif",
        "Rank",
        "Round",
        "RowNumber",
        "Substring",
        "Sum",
        "Trim",
        "Upper",
    ]
)
_SYNTAX: Final[frozenset[str]] = frozenset(
    [
        "Add",
        "Alias",
        "All",
        "And",
        "Between",
        "Boolean",
        "CTE",
        "Case",
        "Cast",
        "Column",
        "ColumnDef",
        "DPipe",
        "DataType",
        "DataTypeParam",
        "Delete",
        "Distinct",
        "Div",
        "EQ",
        "Escape",
        "Except",
        "Exists",
        "Filter",
        "From",
        "GT",
        "GTE",
        "Group",
        "Having",
        "ILike",
        "Identifier",
        "If",
        "In",
        "Insert",
        "Intersect",
        "Is",
        "JSONExtract",
        "JSONExtractScalar",
        "JSONPath",
        "JSONPathKey",
        "JSONPathRoot",
        "JSONPathSubscript",
        "Join",
        "LT",
        "LTE",
        "Like",
        "Limit",
        "Literal",
        "Lock",
        "Mod",
        "Mul",
        "NEQ",
        "Neg",
        "Not",
        "Null",
        "NullSafeEQ",
        "NullSafeNEQ",
        "Offset",
        "OnConflict",
        "Or",
        "Order",
        "Ordered",
        "Paren",
        "Placeholder",
        "Returning",
        "Schema",
        "Select",
        "Star",
        "Sub",
        "Subquery",
        "Table",
        "TableAlias",
        "Tuple",
        "Union",
        "Update",
        "Values",
        "Where",
        "Window",
        "WindowSpec",
        "With",
    ]
)
_NEVER: Final[dict[str, tuple[str, ...]]] = {
    # "x in y" reads all of table y on SQLite.
    "In": ("field", "unnest"),
    "Cast": ("format", "action", "safe"),
    "Table": ("catalog", "joins", "pivots", "laterals", "sample", "version", "only", "rows_from", "hints", "changes",
              "when", "partition", "indexed", "ordinality", "format", "pattern", "system_time"),
    "Select": ("into", "sample", "laterals", "match", "connect", "settings", "format", "windows", "qualify", "hint",
               "kind", "cluster", "distribute", "sort", "prewhere", "options", "operation_modifiers", "pivots"),
    "Join": ("method", "hint", "match_condition", "pivots"),
    "With": ("recursive", "search"),
    "CTE": ("scalar",),
    "Insert": ("hint", "is_function", "overwrite", "stored", "by_name", "exists", "where", "partition", "settings",
               "source", "default"),
}  # fmt: skip
_TYPES: Final[frozenset[exp.DType]] = frozenset(
    exp.DType[name]
    for name in [
        "BIGINT",
        "BOOLEAN",
        "CHAR",
        "DATE",
        "DECIMAL",
        "DOUBLE",
        "FLOAT",
        "INT",
        "JSON",
        "JSONB",
        "SMALLINT",
        "TEXT",
        "TIMESTAMP",
        "TIMESTAMPTZ",
        "UUID",
        "VARCHAR",
    ]
)


def odd_text(text: str) -> str | None:
    """What in ``text`` is outside the plain language; None if all of it is inside."""
    before = ""
    end = 0
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            return "it has a character, a quotation or a comment that databases read differently"
        kind = match.lastgroup or ""
        if kind in _APART and _WORD_ENDS.match(text[max(0, end - 1) : end]):
            return "a letter or digit touches another word, number or string"
        if kind == before == "string":
            return "strings stand side by side"
        before = before if kind == "space" else kind
        end = match.end()
    return None


def odd_syntax(root: exp.Expr) -> Iterator[str]:
    """The parts of a statement that no caller may use."""
    for node in root.walk():
        name = type(node).__name__
        if name == "Var" and isinstance(node.parent, exp.OnConflict):
            continue
        if name not in _SYNTAX and name not in _FUNCTIONS:
            yield node.name if isinstance(node, exp.Anonymous) else name
        for part in _NEVER.get(name, ()):
            if node.args.get(part):
                yield f"{part} of {name}"
        if isinstance(node, exp.DataType) and node.this not in _TYPES:
            yield f"the type {node.this.name if isinstance(node.this, exp.DType) else 'named'}"
        if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            yield "a function in place of a table"


def unknown_column(root: exp.Expr, known: Collection[str]) -> str | None:
    """A column that is neither ``known`` nor made by the statement.

    On PostgreSQL ``table.name`` calls a function of that name if there is no such column.
    """
    made = {alias.alias for alias in root.find_all(exp.Alias)}
    made |= {column.name for alias in root.find_all(exp.TableAlias) for column in alias.args.get("columns") or ()}
    stored = {table.alias_or_name for table in root.find_all(exp.Table)}
    for column in root.find_all(exp.Column):
        if column.args.get("db") or column.args.get("catalog"):
            return column.name
        if isinstance(column.this, exp.Star) or column.name in known:
            continue
        if column.name not in made or column.table in stored:
            return column.name
    return None

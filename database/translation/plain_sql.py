"""The subset of SQL that callers may use, in which the parser and the databases cannot disagree about the meaning.

This module lists the allowed characters, functions and syntax. Everything else is refused, harmful or not.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token
from sqlglot.tokenizer_core import TokenType

_TOKEN: Final = re.compile(
    r"""
    (?P<space> [ \t\n]+ | --[^\r\n]*(?:\n|\Z) | /\*(?:(?!/\*|\*/)[^\r])*\*/ )
  | (?P<string> '(?:[^'\\\0]|'')*' )
  | (?P<word> [A-Za-z_][A-Za-z0-9_]{0,62} | "[A-Za-z_][A-Za-z0-9_ ]{0,62}" )
  | (?P<number> \d+(?:\.\d+)?(?:[eE][+-]?\d+)? )
  | (?P<sign> ->>? | <> | != | <= | >= | \|\| | :: | -(?!-) | /(?!\*) | \*(?!/) | [(),.=<>+?] | %(?!s|%|\(\w+\)s) )
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
_CALLED: Final = frozenset({
    "abs", "and", "avg", "btrim", "case", "cast", "ceil", "ceiling", "char", "char_length", "character_length",
    "coalesce", "count", "dense_rank", "exists", "floor", "greatest", "lag", "lead", "least", "length", "like",
    "lower", "ltrim", "max", "min", "mod", "now", "nullif", "or", "rank", "round", "row_number", "rtrim", "substr",
    "substring", "sum", "timestamp", "timestamptz", "trim", "upper", "values", "varchar",
})  # fmt: skip
"""The parser's names of functions that mean the same to the databases.

The parser reads ``len`` as ``length``, for example, but on PostgreSQL it is a user-defined function of that name.
"""
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
    # PostgreSQL evaluates this WHERE on a row before it checks whether its policies show that row to the caller.
    "OnConflict": ("where", "duplicate"),
    "Insert": ("hint", "is_function", "overwrite", "stored", "by_name", "exists", "where", "partition", "settings",
               "source", "default"),
}  # fmt: skip
_LONGEST_TYPE: Final = 10_000
"""The longest ``char(n)``: PostgreSQL pads its values, so a short statement could produce huge ones."""

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
    """Describe the first token of ``text`` outside of the allowed subset; None if there is none."""
    before = ""
    end = 0
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            return "the statement has a character, a quotation or a comment that databases read differently"
        kind = match.lastgroup or ""
        if kind in _APART and _WORD_ENDS.match(text[max(0, end - 1) : end]):
            return "the statement has a word, number or string that is not separated from the one before"
        if kind == before == "string":
            return "the statement has two adjacent strings"
        before = before if kind == "space" else kind
        end = match.end()
    return None


def odd_call(tokens: Sequence[Token], functions: Collection[str]) -> str | None:
    """A function name that the database may understand differently from the parser; None if there is none.

    :param functions: the names of all functions that the parser knows, in upper case.
    """
    before: Token | None = None
    for token, following in pairwise(tokens):
        called = following.token_type is TokenType.L_PAREN and token.text.upper() in functions
        filled = before is not None and before.token_type is TokenType.INTO
        if called and not filled and (token.token_type is TokenType.IDENTIFIER or token.text.lower() not in _CALLED):
            return token.text
        before = token
    return None


def odd_syntax(root: exp.Expr) -> Iterator[str]:
    """Yield the parts of a statement that callers may not use."""
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
        if isinstance(node, exp.DataTypeParam) and not _is_short(node.this):
            yield f"a type of more than {_LONGEST_TYPE:,} characters"
        if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            yield "a function in place of a table"


def _is_short(length: exp.Expr) -> bool:
    return isinstance(length, exp.Literal) and length.name.isdecimal() and int(length.name) <= _LONGEST_TYPE

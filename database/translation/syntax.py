"""Parses SQL text to a syntax tree, and refuses constructs that operations cannot express.

No part of a tree is ignored: :func:`require` refuses every part of a node that its translator does not handle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token
from sqlglot.tokenizer_core import TokenType

from database.core.errors import InvalidQuery
from database.core.errors import Unsupported

_TRANSLATED = frozenset({"select", "insert", "update", "delete"})
_OTHER = re.compile(
    "abort|alter|analyze|begin|call|checkpoint|close|cluster|comment|commit|copy|create|deallocate|declare|do|drop|end|"
    "execute|explain|fetch|grant|import|listen|load|lock|merge|move|notify|pragma|prepare|reindex|release|replace|reset|"
    "revoke|rollback|savepoint|set|show|start|table|truncate|unlisten|vacuum|values|with"
)
"""First words of SQL statements that operations cannot express."""

_OPERAND_ENDS = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER, TokenType.R_PAREN})
"""After one of these, a question mark is an operator on jsonb, not a placeholder."""

_PARTS = {
    "joins": "a join",
    "with_": "a common table expression",
    "using": "USING",
    "from_": "FROM in an UPDATE",
    "locks": "FOR UPDATE",
    "query": "a subquery",
    "sample": "TABLESAMPLE",
    "on": "DISTINCT ON",
    "alternative": "INSERT OR",
    "default": "DEFAULT VALUES",
}
_KINDS: tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], str], ...] = (
    (exp.SetOperation, "a set operation"),
    ((exp.Query, exp.Exists), "a subquery"),
    ((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.DPipe, exp.Concat), "arithmetic and concatenation"),
    (exp.Column, "a column as a value"),
    (exp.Cast, "this cast"),
    (exp.Connector, "a condition as a value"),
    (exp.Tuple, "a row of values"),
    ((exp.RawString, exp.ByteString, exp.UnicodeString, exp.BitString, exp.HexString), "this kind of literal"),
    ((exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBContainsTopKey), "an operator into JSON"),
    ((exp.RegexpLike, exp.RegexpILike, exp.SimilarTo), "a regular expression"),
)

_MARK = "?"
"""The prefix of numbered placeholders; no name in SQL text can begin with it."""


class _Dialect(Postgres):
    class Tokenizer(Postgres.Tokenizer):
        # Without another dialect's cast operator ?::, which would hide a placeholder followed by PostgreSQL's ::.
        KEYWORDS = {text: kind for text, kind in Postgres.Tokenizer.KEYWORDS.items() if text != "?::"}  # noqa: RUF012


POSTGRES = _Dialect()


class Tree(NamedTuple):
    """A parsed statement, whose placeholders are numbered from 0 in the order of the text."""

    root: exp.Expr
    places: int


def parse(text: str) -> Tree:
    """Parse one statement.

    :raises InvalidQuery: for a syntax error; the message gives the position and never the text.
    :raises Unsupported: for several statements, and for statements that operations cannot express.
    """
    try:
        tokens = _statement(POSTGRES.tokenize(text))
        with_names = list(numbered(tokens))
        places = len(with_names) - len(tokens)
        (root,) = POSTGRES.parser().parse(with_names, text)
    except ParseError as error:
        place = error.errors[0]
        # The parser's own message quotes the text, which may contain values.
        raise InvalidQuery(f"SQL syntax error at line {place.get('line')}, column {place.get('col')}") from None
    except SqlglotError:
        raise InvalidQuery("the statement has an unclosed quotation mark or comment") from None
    if root is None:
        raise InvalidQuery("the SQL text has no statement")
    return Tree(root, places)


def refused(construct: str) -> Unsupported:
    """The error for a construct that operations cannot express."""
    reason = "is not supported in SQL text, because this backend has no SQL; rewrite it or use table()"
    return Unsupported("sql", detail=f"{construct} {reason}")


def refused_node(node: exp.Expr) -> Unsupported:
    """The error for a node that cannot be translated."""
    for kinds, construct in _KINDS:
        if isinstance(node, kinds):
            return refused(construct)
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        return refused(f"the function {name.lower()[:64]}")
    return refused(type(node).__name__.upper())


def require(node: exp.Expr, *parts: str) -> None:
    """Refuse a node that has other parts than these. :raises Unsupported: names the part."""
    for part, content in node.args.items():
        if content and part not in parts and part != "_type":
            raise refused(_PARTS.get(part) or part.strip("_").replace("_", " ").upper())


def name_of(identifier: exp.Expr) -> str:
    """The name of an identifier, as in PostgreSQL: lower case unless quoted."""
    if not isinstance(identifier, exp.Identifier):
        raise refused_node(identifier)
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def table_of(node: exp.Expr) -> tuple[str, str]:
    """A table's name, and the qualifier of its columns. :raises Unsupported: if the node is not a table."""
    if not isinstance(node, exp.Table):
        raise refused_node(node)
    require(node, "this", "db", "alias")
    schema, alias = node.args.get("db"), node.args.get("alias")
    if schema is not None and name_of(schema) != "public":
        raise refused("a schema other than public")
    name = name_of(node.this)
    if alias is None:
        return name, name
    require(alias, "this")
    return name, name_of(alias.this)


def place_of(node: exp.Placeholder) -> int:
    """The number of a placeholder. :raises InvalidQuery: for a placeholder without a value."""
    number = node.name.removeprefix(_MARK)
    if number == node.name:
        raise InvalidQuery(f"the placeholder {node.name[:64]!r} has no value")
    return int(number)


def unwrapped(node: exp.Expr) -> exp.Expr:
    """The node without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _statement(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens of the only statement. :raises Unsupported: for several statements."""
    end = len(tokens)
    while end and tokens[end - 1].token_type is TokenType.SEMICOLON:
        end -= 1
    if not end:
        raise InvalidQuery("the SQL text has no statement")
    word = tokens[0].text.lower()
    if _OTHER.fullmatch(word):
        raise refused(word.upper())
    if word not in _TRANSLATED:
        raise InvalidQuery("a statement must begin with SELECT, INSERT, UPDATE or DELETE")
    if any(token.token_type is TokenType.SEMICOLON for token in tokens[:end]):
        raise refused("more than one statement")
    return tokens[:end]


def numbered(tokens: Sequence[Token]) -> Iterator[Token]:
    """Replace each question mark placeholder by a colon and a numbered name."""
    number = 0
    before = None
    for token in tokens:
        if token.token_type is TokenType.PLACEHOLDER and before not in _OPERAND_ENDS:
            yield Token(TokenType.COLON, ":", token.line, token.col, token.start, token.end)
            yield Token(TokenType.VAR, f"{_MARK}{number}", token.line, token.col, token.start, token.end)
            number += 1
        else:
            yield token
        before = token.token_type

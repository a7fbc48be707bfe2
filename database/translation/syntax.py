"""SQL text as a syntax tree, and the refusal of whatever the operations cannot say.

Nothing in a tree is passed over: :func:`require` refuses every part of a node that its reader does not name.
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
"""First words of the statements that are SQL, but no operations."""

_OPERAND_ENDS = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER, TokenType.R_PAREN})
"""A question mark after one of these is an operator on jsonb."""

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
"""Before the number in a numbered placeholder; no name in SQL text can begin with it."""


class _Dialect(Postgres):
    class Tokenizer(Postgres.Tokenizer):
        # Another dialect's cast operator, which would hide a placeholder before PostgreSQL's.
        KEYWORDS = {text: kind for text, kind in Postgres.Tokenizer.KEYWORDS.items() if text != "?::"}  # noqa: RUF012


POSTGRES = _Dialect()


class Tree(NamedTuple):
    """A parsed statement, whose placeholders are numbered from 0 in the order of the text."""

    root: exp.Expr
    places: int


def parse(text: str) -> Tree:
    """The syntax tree of one statement.

    :raises InvalidQuery: for text that is no SQL; the message gives the place and never the text.
    :raises Unsupported: for several statements, and for kinds of statement that are no operations.
    """
    try:
        tokens = _statement(POSTGRES.tokenize(text))
        with_names = list(numbered(tokens))
        places = len(with_names) - len(tokens)
        (root,) = POSTGRES.parser().parse(with_names, text)
    except ParseError as error:
        place = error.errors[0]
        # The parser's own message quotes the text, in which there may be values.
        raise InvalidQuery(f"no SQL at line {place.get('line')}, column {place.get('col')}") from None
    except SqlglotError:
        raise InvalidQuery("the statement has an unclosed quotation or comment") from None
    if root is None:
        raise InvalidQuery("there is no statement")
    return Tree(root, places)


def refused(construct: str) -> Unsupported:
    """The error for a construct that cannot be said with operations."""
    return Unsupported("sql", detail=f"{construct} cannot be translated for a backend that does not speak SQL")


def refused_node(node: exp.Expr) -> Unsupported:
    """The error for a node where it cannot be translated."""
    for kinds, construct in _KINDS:
        if isinstance(node, kinds):
            return refused(construct)
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        return refused(f"the function {name.lower()[:64]}")
    return refused(type(node).__name__.upper())


def require(node: exp.Expr, *parts: str) -> None:
    """Refuse a node that has any part but these. :raises Unsupported: names the part."""
    for part, content in node.args.items():
        if content and part not in parts and part != "_type":
            raise refused(_PARTS.get(part) or part.strip("_").replace("_", " ").upper())


def name_of(identifier: exp.Expr) -> str:
    """An identifier as PostgreSQL reads it: in lower case unless quoted."""
    if not isinstance(identifier, exp.Identifier):
        raise refused_node(identifier)
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def table_of(node: exp.Expr) -> tuple[str, str]:
    """A table's name, and the name that its columns are qualified with. :raises Unsupported: for all but a table."""
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
    """The number of a placeholder. :raises InvalidQuery: for one that was given no value."""
    number = node.name.removeprefix(_MARK)
    if number == node.name:
        raise InvalidQuery("a placeholder has no value")
    return int(number)


def unwrapped(node: exp.Expr) -> exp.Expr:
    """The node without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _statement(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens of the one statement. :raises Unsupported: for several."""
    end = len(tokens)
    while end and tokens[end - 1].token_type is TokenType.SEMICOLON:
        end -= 1
    if not end:
        raise InvalidQuery("there is no statement")
    word = tokens[0].text.lower()
    if _OTHER.fullmatch(word):
        raise refused(word.upper())
    if word not in _TRANSLATED:
        raise InvalidQuery("a statement begins with SELECT, INSERT, UPDATE or DELETE")
    if any(token.token_type is TokenType.SEMICOLON for token in tokens[:end]):
        raise refused("more than one statement")
    return tokens[:end]


def numbered(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens with each question mark replaced by a colon and a numbered name."""
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

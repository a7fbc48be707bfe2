"""The functions that SQLite gets from us. Nothing can interrupt one, so that each looks at the deadline itself.

A column's text comes as bytes, because what another program wrote need not be UTF-8. What the operands of a statement
say is read once, not once a row. It is kept until the statement ends, and so is the last document, which several
conditions may be about.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import apsw
import orjson

from database.backends.sqlite.dialect import like_of
from database.core.query.containment import Part
from database.core.query.containment import prepared
from database.core.query.patterns import Pattern
from database.core.query.steps import Steps

_BYTES_PER_STEP = 200


class SqlFunctions:
    """``isthmus_contains(document, part)``, ``isthmus_glob(text, pattern)`` and ``isthmus_ilike(text, pattern)``.

    What is no JSON contains nothing.

    :ivar steps: with the deadline of the present statement.
    :ivar used: whether there is anything to forget.
    """

    def __init__(self) -> None:
        self.steps = Steps(math.inf)
        self.used = False
        self._parts: dict[str, Part] = {}
        self._patterns: dict[tuple[str, str], Pattern] = {}
        self._document: tuple[bytes, Any] = (b"", None)

    def register(self, db: apsw.Connection) -> None:
        """Make the functions known to a connection."""
        functions: dict[str, Callable[..., Any]] = {
            "isthmus_contains": self._contains,
            "isthmus_glob": lambda text, glob: self._matches(text, ("glob", glob)),
            "isthmus_ilike": lambda text, like: self._matches(text, ("ilike", like)),
        }
        for name, function in functions.items():
            db.create_scalar_function(name, function, 2, deterministic=True)

    def forget(self) -> None:
        """Let go of what the last statement was about."""
        self.used = False
        self._parts.clear()
        self._patterns.clear()
        self._document = (b"", None)

    def _contains(self, document: bytes | None, part: str | None) -> bool | None:
        if document is None or part is None:
            return None
        wanted = self._parts.get(part)
        if wanted is None:
            self.used = True
            wanted = self._parts[part] = prepared(orjson.loads(part))
        try:
            read = self._read(document)
        except orjson.JSONDecodeError:
            return False  # another program wrote it
        return wanted.within(read, self.steps)

    def _read(self, document: bytes) -> Any:
        if self._document[0] != document:
            self.steps.take(1 + len(document) // _BYTES_PER_STEP)
            self._document = (document, orjson.loads(document))
        return self._document[1]

    def _matches(self, stored: bytes | None, asked: tuple[str, str]) -> bool | None:
        if stored is None:
            return None
        text = stored.decode(errors="replace")
        pattern = self._patterns.get(asked)
        if pattern is None:
            self.used = True
            kind, operand = asked
            pattern = Pattern(like_of(operand)) if kind == "glob" else Pattern(operand, fold=True)
            self._patterns[asked] = pattern
        return pattern.matches(text, self.steps)

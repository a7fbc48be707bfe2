"""The SQL functions that Isthmus adds to SQLite. They cannot be interrupted, so each checks the deadline itself.

A column's text is passed as bytes, because text written by another program may not be UTF-8. Parsed operands are
cached until the statement ends, so that they are parsed once and not for each row; so is the last document, because
several conditions may use it.
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
    """``isthmus_contains(document, part)``, ``isthmus_contained(list, items)``, ``isthmus_glob(text, pattern)`` and
    ``isthmus_ilike(text, pattern)``.

    A document that is not JSON contains nothing, and nothing contains it.

    :ivar steps: counts the work, with the deadline of the current statement.
    :ivar used: whether anything is cached.
    """

    def __init__(self) -> None:
        self.steps = Steps(math.inf)
        self.used = False
        self._parts: dict[str, Part] = {}
        self._items: dict[str, frozenset[Any]] = {}
        self._patterns: dict[tuple[str, str], Pattern] = {}
        self._document: tuple[bytes, Any] = (b"", None)

    def register(self, db: apsw.Connection) -> None:
        """Register the functions with a connection."""
        functions: dict[str, Callable[..., Any]] = {
            "isthmus_contains": self._contains,
            "isthmus_contained": self._contained,
            "isthmus_glob": lambda text, glob: self._matches(text, ("glob", glob)),
            "isthmus_ilike": lambda text, like: self._matches(text, ("ilike", like)),
        }
        for name, function in functions.items():
            db.create_scalar_function(name, function, 2, deterministic=True)

    def forget(self) -> None:
        """Clear the caches at the end of a statement."""
        self.used = False
        self._parts.clear()
        self._items.clear()
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
            return False  # written by another program
        return wanted.within(read, self.steps)

    def _contained(self, document: bytes | None, whole: str | None) -> bool | None:
        """Whether a list has no item besides those of another."""
        if document is None or whole is None:
            return None
        items = self._items.get(whole)
        if items is None:
            self.used = True
            items = self._items[whole] = frozenset(orjson.loads(whole))
        try:
            read = self._read(document)
            return isinstance(read, list) and items.issuperset(read)
        except (orjson.JSONDecodeError, TypeError):
            return False  # written by another program

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

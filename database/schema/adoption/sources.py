"""Source text of Python for names and expressions of a database."""

from __future__ import annotations

import json
import keyword
import re
from typing import Final

_PARAMETER: Final = re.compile(r"(?<![:\w\\]):(?=\w)")
_WORD: Final = re.compile(r"[^0-9a-zA-Z_]+")
TAKEN: Final = frozenset({"sa", "columns", "metadata", "postgresql", "decimal"})


def literal(text: str) -> str:
    """A string literal, in double quotes."""
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else json.dumps(text)


def expression(text: str) -> str:
    """An SQL expression of the database, in which nothing is a parameter."""
    return f"sa.text({literal(_PARAMETER.sub(lambda _: chr(92) + ':', text))})"


def comment(text: str) -> str:
    """Text of a comment, on one line."""
    return " ".join(text.split())


def variable(name: str, taken: set[str]) -> str:
    """A variable's name for a table, which is added to ``taken``."""
    word = _WORD.sub("_", name).strip("_").lower() or "table"
    if word[0].isdigit() or keyword.iskeyword(word) or word in TAKEN:
        word = f"table_{word}"
    free = word
    number = 2
    while free in taken:
        free, number = f"{word}_{number}", number + 1
    taken.add(free)
    return free

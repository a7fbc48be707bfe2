"""Text of a fixed width, as which some databases fill it up with blanks."""

from __future__ import annotations

from typing import Any
from typing import Final

from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind


class Chars(Kind):
    """Text without blanks at its end: they are taken off what is written, read and compared.

    So it is compared as by PostgreSQL, which stores the blanks and ignores them.
    """

    name = TEXT.name
    python_type = str
    base = TEXT

    def check(self, value: Any) -> str:
        return without_blanks(TEXT.check(value))

    def parse(self, text: str) -> str:
        return self.check(text)


def without_blanks(text: str) -> str:
    """The text without blanks at its end."""
    return text.rstrip(" ")


CHARS: Final = Chars()

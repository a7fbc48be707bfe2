"""``like`` and ``ilike`` patterns without backtracking: the pieces between the ``%`` are searched in order.

The first match of each piece is as good as any later one, so that every pattern takes one pass over the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator

from database.core.query.steps import Steps

_COMPARISONS_PER_CHECK = 4_000_000
"""Comparisons of characters, about 10 ms, between two checks of the deadline."""

_COMPARISONS_PER_STEP = 400
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class Pattern:
    """A compiled pattern, to be matched against any number of texts.

    :param like: ``%`` is any text, ``_`` one character, and a backslash makes the next character literal.
    :param fold: whether the letters A to Z equal a to z.
    """

    def __init__(self, like: str, *, fold: bool = False) -> None:
        self._fold = fold
        first, *others = _pieces(folded(like) if fold else like)
        self._first = first
        self._middle = [piece for piece in others[:-1] if piece.length]
        self._last = others[-1] if others else None

    def matches(self, text: str, steps: Steps) -> bool:
        """Whether the pattern matches the whole text. :raises Stopped: at the deadline."""
        steps.take(1 + len(text) // _COMPARISONS_PER_STEP)
        if self._fold:
            text = folded(text)
        if self._last is None:
            return len(text) == self._first.length and self._first.matches_at(text, 0)
        end = len(text) - self._last.length
        position = self._first.length
        if end < position or not self._first.matches_at(text, 0) or not self._last.matches_at(text, end):
            return False
        for piece in self._middle:
            position = piece.end_of_first(text, position, end, steps)
            if position < 0:
                return False
        return True


class _Piece:
    """A sequence of characters; None stands for any character."""

    def __init__(self, characters: list[str | None]) -> None:
        self.length = len(characters)
        self._literal = None if None in characters else "".join(filter(None, characters))
        self._form = re.compile("".join(re.escape(each) if each else "." for each in characters), re.DOTALL)

    def matches_at(self, text: str, position: int) -> bool:
        """Whether the piece matches at the position."""
        if self._literal is not None:
            return text.startswith(self._literal, position)
        return self._form.match(text, position) is not None

    def end_of_first(self, text: str, start: int, end: int, steps: Steps) -> int:
        """The end of the first match between ``start`` and ``end``; -1 for none."""
        if self._literal is not None:
            steps.take(1 + (end - start) // _COMPARISONS_PER_STEP)
            found = text.find(self._literal, start, end)
            return found if found < 0 else found + self.length
        return self._search(text, start, end, steps)

    def _search(self, text: str, start: int, end: int, steps: Steps) -> int:
        starts = max(1, _COMPARISONS_PER_CHECK // self.length)
        while start + self.length <= end:
            stop = min(end, start + starts + self.length - 1)
            match = self._form.search(text, start, stop)
            if match is not None:
                return match.end()
            steps.take((stop - start) * self.length // _COMPARISONS_PER_STEP)
            start = stop - self.length + 1
        return -1


def folded(text: str) -> str:
    """The text with the letters A to Z in lower case."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def rewritten(like: str, any_text: str, any_character: str, literal: Callable[[str], str]) -> str:
    """A pattern in another language.

    :param any_text: what stands there for ``%``.
    :param any_character: what stands there for ``_``.
    :param literal: a character as it stands there for itself.
    """
    wildcards = {"%": any_text, "_": any_character}
    return "".join([literal(character) if plain else wildcards[character] for character, plain in _characters(like)])


def _characters(like: str) -> Iterator[tuple[str, bool]]:
    """The characters without their backslashes, and whether each means itself."""
    characters = iter(like)
    for character in characters:
        yield (next(characters), True) if character == "\\" else (character, character not in "%_")


def _pieces(like: str) -> Iterator[_Piece]:
    """Yield the pieces before, between and after the ``%``; at least one."""
    piece: list[str | None] = []
    for character, plain in _characters(like):
        if character == "%" and not plain:
            yield _Piece(piece)
            piece = []
        else:
            piece.append(character if plain else None)
    yield _Piece(piece)

"""The answer of a function that runs when its transaction commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from database.core.errors import TransactionError


class Deferred:
    """Stands for what a function will return: it is settled by the commit, and never after a rollback.

    Settled, it can be indexed, iterated over and tested as the value itself, and answered as JSON. A view that returns
    it as a part of a ``dict`` or ``list`` answers with the value, because the answer is written after the commit.

    :param function: the function's name, for messages.
    """

    def __init__(self, function: str) -> None:
        self._function = function
        self._values: list[Any] = []

    @property
    def value(self) -> Any:
        """What the function returned. :raises TransactionError: before the commit, and after a rollback."""
        if not self._values:
            raise TransactionError(
                f"{self._function} runs when the transaction commits, and what it returns is not known before that. "
                "Return it from the view inside a dict, which is written after the commit, or read its .value there"
            )
        return self._values[0]

    def settle(self, value: Any) -> None:
        """Note what the function returned."""
        self._values = [value]

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return f"<what {self._function} returns: {repr(self._values[0]) if self._values else 'not known yet'}>"

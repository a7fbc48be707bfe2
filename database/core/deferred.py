"""The result of a function that runs when its transaction commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from database.core.errors import TransactionError


class Deferred:
    """A placeholder for the return value of a function. The commit sets the value; after a rollback it has none.

    After the commit it can be indexed, iterated over and tested like the value itself, and serialised as JSON. A view
    may return it inside a ``dict`` or ``list``, because the response body is written after the commit.

    :param function: the function's name, for messages.
    """

    def __init__(self, function: str) -> None:
        self._function = function
        self._values: list[Any] = []

    @property
    def value(self) -> Any:
        """The function's return value. :raises TransactionError: before the commit, and after a rollback."""
        if not self._values:
            raise TransactionError(
                f"{self._function} runs when the transaction commits; its return value is not known before that. "
                "Read .value after the commit, or return this object from the view inside a dict, which is serialised "
                "after the commit"
            )
        return self._values[0]

    def settle(self, value: Any) -> None:
        """Set the function's return value."""
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
        return f"<return value of {self._function}: {repr(self._values[0]) if self._values else 'not known yet'}>"

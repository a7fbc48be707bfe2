"""Lists of values of one type, without nulls."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind
from database.core.kinds.values import WrittenNumber

MAX_ITEMS: Final = 1_000


class Arrays(Kind):
    """A list of at most ``MAX_ITEMS`` values of the kind ``item``. Lists can be equal, and have no order.

    Backends without arrays store the items, each in its stored form, as JSON text in one spelling.
    """

    name = "array"
    python_type = list
    comparable = False
    storage = TEXT

    def __init__(self, item: Kind) -> None:
        self.item = item
        self.scaled = item.scaled

    def check(self, value: Any) -> list[Any]:
        return _checked(value, self.item.check)

    def parse(self, text: str) -> list[Any]:
        try:
            return self.comparand(json.loads(text, parse_float=WrittenNumber))
        except (json.JSONDecodeError, RecursionError):
            raise ValueError("must be a list in JSON, such as [1,2]") from None

    def comparand(self, value: Any) -> list[Any]:
        return _checked(value, self.item.comparand)

    def held(self, comparand: list[Any]) -> list[Any] | None:
        items = [self.item.held(one) for one in comparand]
        return None if None in items else items

    def store(self, value: list[Any]) -> str:
        return orjson.dumps([self.item.store(one) for one in value]).decode()

    def restore(self, stored: str) -> list[Any]:
        return self.read(orjson.loads(stored), self.item.restore)

    def read(self, items: Any, read: Callable[[Any], Any]) -> list[Any]:
        """The list of items in another form. :raises ValueError: or ``TypeError``, if one is none of the kind.

        :param read: reads an item.
        """
        if type(items) is not list or None in items:
            raise ValueError("must be a list of values")
        return [self.item.check(read(one)) for one in items]


def _checked(value: Any, check: Callable[[Any], Any]) -> list[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise ValueError("must be a list")
    if len(value) > MAX_ITEMS:
        raise ValueError(f"must have at most {MAX_ITEMS} items")
    if None in value:
        raise ValueError("must not contain null")
    # The addition takes the sign from a zero, so that equal lists have one spelling.
    return [one + 0.0 if type(one) is float else one for one in map(check, value)]


@compiles(sa.ARRAY, "sqlite")
def _on_sqlite(*_: Any, **__: Any) -> str:
    return "TEXT"

"""The values of SQL text: which types every database takes as parameters, and in which form its driver binds them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from database.core.errors import InvalidQuery
from database.core.kinds.values import JSON
from database.core.kinds.values import check_text

_AS_THEY_ARE = frozenset({int, bool, bytes, type(None)})
_OTHERS = (str, int, float, bytes, Decimal, datetime, date, time, timedelta, UUID, dict, list)

Form = Callable[[Any], Any]
"""The value that a driver binds. Raises ``ValueError`` for one that the database cannot keep; says what is wrong."""


def _no_others(_: type) -> bool:
    return False


@dataclass(frozen=True)
class Parameters:
    """How one database takes parameters.

    :ivar forms: for the types whose values the driver does not bind as they are.
    :ivar takes: whether the driver also binds values of a type that not every database takes.
    :ivar labels: of the members of enumerations; None for one that has several. Other members count as their value.
    """

    forms: Mapping[type, Form]
    takes: Callable[[type], bool] = _no_others
    labels: Mapping[Enum, str | None] = field(default_factory=dict)

    def with_labels(self, labels: Mapping[Enum, str | None]) -> Parameters:
        """The same, with the labels that enumerations have in declared columns."""
        return replace(self, labels=labels) if labels else self

    def bound(self, name: str | int, value: Any, timed: Form | None = None) -> Any:
        """The value as the driver binds it.

        :param name: the parameter's name, or its number, counted from 1.
        :param timed: the form of a date or a time where it stands.
        :raises InvalidQuery: names the parameter and what is wrong with it, without the value.
        """
        kind = type(value)
        if kind in _AS_THEY_ARE and kind not in self.forms:
            return value
        if isinstance(value, Enum):
            return self.bound(name, self._label(name, value))
        if not isinstance(value, _OTHERS) and value is not None and not self.takes(kind):
            raise InvalidQuery(
                f"the parameter {name!r} has the type {kind.__name__}, which SQL text does not take; pass text,"
                " a number, a date or time, a UUID, bytes, a dict or a list"
            )
        try:
            if isinstance(value, str):
                check_text(value)
            if timed is not None and isinstance(value, date | time):
                return timed(value)
            form = self.forms.get(kind) or next((self.forms[base] for base in kind.__mro__ if base in self.forms), None)
            return value if form is None else form(value)
        except ValueError as error:
            raise InvalidQuery(f"the parameter {name!r} {error}") from None

    def _label(self, name: str | int, member: Enum) -> Any:
        label = self.labels.get(member, member.value)
        if label is None:
            raise InvalidQuery(f"the parameter {name!r} is a member with several labels; pass the label as text")
        return label


def json_document(value: Any) -> Any:
    """A dict or a list that every database keeps as JSON. :raises ValueError: says what is wrong."""
    return JSON.check(value)


def plain_list(value: list[Any]) -> list[Any]:
    """A list of values that SQL text takes; its column says later what they must be. :raises ValueError: for others."""
    for item in value:
        if item is not None and not isinstance(item, _OTHERS):
            raise ValueError(f"has an item of the type {type(item).__name__}, which SQL text does not take")
    return value


PLAIN = Parameters({dict: json_document, list: plain_list})
"""Values in their Python types, for the translation of SQL text."""

"""Enumerations: text that is one of some labels."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa

from database.core.kinds.ranges import Ranged
from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind
from database.core.kinds.values import check_text

_MOST_SHOWN = 10
_LONGEST_LABEL = 63
"""Most bytes of a label of an enumeration type on PostgreSQL."""


class Enums(Ranged):
    """Text that is one of ``labels``, sorted and compared as text. Any text can be compared with it.

    :ivar labels: what is stored.
    :ivar members: the labels of the members of a Python enumeration, which can be given in their place.
    """

    name = "enum"
    python_type = str
    base = TEXT

    def __init__(self, labels: Sequence[str], members: Mapping[Enum, str]) -> None:
        self.labels = frozenset(labels)
        self._sorted = sorted(labels)
        self.members = members
        self.lowest = self._sorted[0]
        self.highest = self._sorted[-1]

    def check(self, value: Any) -> str:
        text = self.comparand(value)
        if text not in self.labels:
            more = ", ..." if len(self._sorted) > _MOST_SHOWN else ""
            raise ValueError(f"must be one of {', '.join(map(repr, self._sorted[:_MOST_SHOWN]))}{more}")
        return text

    def parse(self, text: str) -> str:
        return self.comparand(text)

    def comparand(self, value: Any) -> str:
        if isinstance(value, Enum):
            if (label := self.members.get(value)) is None:
                raise ValueError("must be a label or a member of the column's own enumeration")
            return label
        return TEXT.check(value)

    def held(self, comparand: str) -> str | None:
        return comparand if comparand in self.labels else None

    def floor(self, comparand: str) -> str | None:
        place = bisect_right(self._sorted, comparand)
        return self._sorted[place - 1] if place else None


def enums(declared: sa.Enum) -> Enums:
    """The kind of a declared enumeration. :raises ValueError: for labels that not all backends can store."""
    labels = [str(label) for label in declared.enums]
    if not labels:
        raise ValueError("it has no labels; name them")
    for label in labels:
        check_text(label)
        if len(label.encode()) > _LONGEST_LABEL:
            raise ValueError(f"a label has more than {_LONGEST_LABEL} bytes, the limit of PostgreSQL; shorten it")
    members = [] if declared.enum_class is None else list(declared.enum_class)
    if len(members) != len(labels):
        # With the option omit_aliases=False, a second name of a member is a label, too.
        members = [] if declared.enum_class is None else list(declared.enum_class.__members__.values())
    return Enums(labels, dict(zip(members, labels, strict=False)))


def enum_labels(kinds: Iterable[Kind | None]) -> dict[Enum, str | None]:
    """The labels of the members of all Python enumerations; None for a member that has several."""
    labels: dict[Enum, str | None] = {}
    for kind in kinds:
        for member, label in kind.members.items() if isinstance(kind, Enums) else ():
            labels[member] = label if labels.get(member, label) == label else None
    return labels


def is_native_enum(declared: sa.types.TypeEngine[Any]) -> bool:
    """Whether a declared type is a type of its own on PostgreSQL."""
    found = declared._variant_mapping.get("postgresql", declared)
    return isinstance(found, sa.Enum) and bool(found.native_enum)

"""What an audit has found: differences by kind, counted by table, and the first of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final
from typing import Literal
from typing import Self

from database.sync.audit.pages import different_columns
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState

Kind = Literal["missing_on_first", "missing_on_second", "different", "unreadable"]

KINDS: Final[tuple[Kind, ...]] = ("missing_on_first", "missing_on_second", "different", "unreadable")
COUNTS: Final = ("compared", *KINDS, "in_flight", "repaired")

_SHOWN: Final = 20
"""The differences that are kept with their keys; of the others only the number is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that is not equal on both sides.

    :ivar id: the address of its key; None if it cannot be read.
    :ivar columns: those that differ.
    :ivar reason: why it cannot be read, without its values.
    """

    table: str
    id: str | None
    kind: Kind
    columns: tuple[str, ...] = ()
    reason: str | None = None

    @classmethod
    def of(cls, state: RecordState) -> Self | None:
        """The difference between both sides; None if they are equal."""
        first, second = state.first, state.second
        if (fault := first.fault or second.fault) is not None:
            return cls(*state.key, "unreadable", reason=str(fault))
        if first.text == second.text:
            return None
        if first.text is None:
            return cls(*state.key, "missing_on_first")
        if second.text is None:
            return cls(*state.key, "missing_on_second")
        return cls(*state.key, "different", tuple(different_columns(first.text, second.text)))

    @property
    def key(self) -> RecordKey | None:
        """The key of the record; None if it cannot be read."""
        return None if self.id is None else RecordKey(self.table, self.id)

    def as_json(self) -> dict[str, Any]:
        """The difference as a JSON object."""
        what = {"columns": list(self.columns)} if self.columns else {}
        return {"table": self.table, "id": self.id, "kind": self.kind, **what} | (
            {"reason": self.reason} if self.reason else {}
        )


@dataclass(slots=True)
class Findings:
    """The result of an audit so far.

    :ivar tables: the counts of :data:`COUNTS` by table. A repaired difference is counted as such, too.
    :ivar shown: the first differences, as JSON objects.
    :ivar complete: whether all records were compared.
    """

    tables: dict[str, Counter[str]] = field(default_factory=dict)
    shown: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Findings that were stored."""
        return cls({table: Counter(counts) for table, counts in kept["tables"].items()}, list(kept["differences"]))

    def counts(self, table: str) -> Counter[str]:
        """The counts of a table."""
        return self.tables.setdefault(table, Counter(dict.fromkeys(COUNTS, 0)))

    def add(self, difference: Difference) -> None:
        """Count a difference."""
        self.counts(difference.table)[difference.kind] += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(difference.as_json())

    def total(self, *names: str) -> int:
        """The sum of these counts over all tables."""
        return sum(counts[name] for counts in self.tables.values() for name in names)

    @property
    def differences(self) -> int:
        """The number of differences that remain."""
        return self.total(*KINDS) - self.total("repaired")

    @property
    def equal(self) -> bool:
        """Whether all records were compared, and are equal on both sides."""
        return self.complete and not self.differences and not self.total("in_flight")

    def as_json(self) -> dict[str, Any]:
        """The findings as a JSON object."""
        tables = {table: dict(counts) for table, counts in self.tables.items()}
        return {"equal": self.equal, "complete": self.complete, "tables": tables, "differences": list(self.shown)}

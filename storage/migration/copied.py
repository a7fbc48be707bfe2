"""What a copy of entries has done, and what it has left."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field


@dataclass(slots=True)
class Copied:
    """How far a copy has come.

    :ivar seen: entries of the source that were looked at.
    :ivar moved: entries that were stored in the target, and read back with the same hash; in a dry run, those that
        would be.
    :ivar size: bytes of the values of those.
    :ivar same: entries that the target had already, with the same hash.
    :ivar others: entries that only the target has, which are left alone.
    :ivar left: the keys of entries that were not copied, each with the reason.
    """

    seen: int = 0
    moved: int = 0
    size: int = 0
    same: int = 0
    others: int = 0
    left: dict[str, str] = field(default_factory=dict)

    def count_moved(self, size: int) -> None:
        """Count an entry that the target now has."""
        self.moved += 1
        self.size += size

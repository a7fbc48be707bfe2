"""The comparison of places that must have the same entries."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from heapq import merge
from itertools import groupby
from operator import itemgetter

from storage.core.entry import Stored


@dataclass(slots=True)
class Integrity:
    """What a comparison has found. The main place is right.

    :ivar key_counts: how many entries each place has.
    :ivar missing: by the name of a copy: the keys that only others have.
    :ivar surplus: the keys that the main place does not have.
    :ivar different: the keys whose entries are of another version, or damaged.
    :ivar total_keys: keys of all places together.
    :ivar repaired: how many keys were brought up to date.
    """

    key_counts: dict[str, int]
    missing: dict[str, list[str]]
    surplus: dict[str, list[str]]
    different: dict[str, list[str]]
    total_keys: int = 0
    repaired: int = 0
    wrong: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, main: str, copies: Iterable[str]) -> Integrity:
        """A comparison that has not begun."""
        names = list(copies)
        return cls(dict.fromkeys([main, *names], 0), _lists(names), _lists(names), _lists(names))

    @property
    def consistency(self) -> float:
        """The share of keys that are the same everywhere, from 0 to 1."""
        return 1 - len(self.wrong) / self.total_keys if self.total_keys else 1.0

    def count(self, places: Iterable[str]) -> None:
        """Count a key that is in these places."""
        self.total_keys += 1
        for name in places:
            self.key_counts[name] += 1

    def note(self, key: str, name: str, right: Stored | None, copy: Stored | None) -> None:
        """Note a copy that is not as it should be."""
        lists = self.missing if copy is None else self.surplus if right is None else self.different
        lists[name].append(key)
        self.wrong.add(key)


def _lists(names: Iterable[str]) -> dict[str, list[str]]:
    return {name: [] for name in names}


def side_by_side(places: Mapping[str, Iterable[Stored]]) -> Iterator[tuple[str, dict[str, Stored]]]:
    """Each key with its entries by the names of the places; all of them must be in the order of their keys."""
    merged = merge(*(_named(name, entries) for name, entries in places.items()), key=itemgetter(0))
    for key, found in groupby(merged, key=itemgetter(0)):
        yield key, {name: entry for _, name, entry in found}


def _named(name: str, entries: Iterable[Stored]) -> Iterator[tuple[str, str, Stored]]:
    return ((entry.key, name, entry) for entry in entries)


def same(one: Stored | None, other: Stored | None) -> bool:
    """Whether two entries are of one version, and written in the same form."""
    if one is None or other is None:
        return one is other
    return (one.etag, one.size, one.headers, one.body) == (other.etag, other.size, other.headers, other.body)

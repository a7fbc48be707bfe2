"""What a key of a ring is for at a moment: next -> current -> retired -> gone, by time alone.

A ring is a sequence of keys in the order in which they sign. Nothing but the clock moves a key on, so processes that
know the same ring agree without speaking to each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from enum import StrEnum
from typing import Any

from auth.keys.signing import SigningKey

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


class State(StrEnum):
    """What a key is for."""

    NEXT = "next"  # is published, and does not sign yet
    CURRENT = "current"  # signs
    RETIRED = "retired"  # signs no more, and its tokens are still good
    GONE = "gone"  # its tokens are refused, like those of any stranger


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key of a ring; its times are aware.

    :ivar published: since when it can be found among the published keys.
    :ivar signs_from: when it takes over from the key before it.
    :ivar accepted_until: when its last token has expired everywhere; None while it has no successor.
    """

    key: SigningKey
    published: datetime
    signs_from: datetime
    accepted_until: datetime | None = None


Ring = tuple[RingKey, ...]
"""At least one key, in the order in which they sign; all but the last have an end."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key as it is shown to people, without its material.

    :ivar since: since when it is in this state; None for a key without times.
    :ivar until: when the state ends; None if that is not decided by time.
    """

    kid: str | None
    algorithm: str
    state: State
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The keys that are in force from ``since`` until before ``until``.

    :ivar next: the key that waits, if there is one.
    :ivar published: the asymmetric keys in force, the current one first.
    :ivar accepted: the keys whose tokens are good, by ``kid``; shared secrets, which have none, under None.
    """

    current: SigningKey
    next: SigningKey | None
    published: tuple[SigningKey, ...]
    accepted: Mapping[str | None, tuple[SigningKey, ...]]
    since: datetime
    until: datetime

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set to publish; no shared secret is in it."""
        return {"keys": [jwk for key in self.published for jwk in key.jwks()["keys"]]}


def key_set(ring: Ring, secrets: Sequence[SigningKey], now: datetime) -> KeySet:
    """The keys in force at ``now``.

    :param secrets: shared secrets that are accepted beside the ring.
    """
    found = states(ring, now)
    signing = found.index(State.CURRENT)
    waiting = ring[signing + 1].key if signing + 1 < len(ring) else None
    valid = [entry.key for entry, state in zip(ring, found, strict=True) if state is not State.GONE]
    # The current one first, for readers that take the first they find.
    published = sorted((key for key in valid if key.kid), key=lambda key: key is not ring[signing].key)
    since, until = _span(ring, now)
    return KeySet(ring[signing].key, waiting, tuple(published), _by_kid([*valid, *secrets]), since, until)


def states(ring: Ring, now: datetime) -> list[State]:
    """The state of each key at ``now``; the first one signs, even for a clock that is behind its making."""
    begun = [entry for entry in ring[1:] if entry.signs_from <= now]
    signing = len(begun)
    return [_state(entry, place - signing, now) for place, entry in enumerate(ring)]


def described(ring: Ring, now: datetime) -> list[KeyState]:
    """The keys for people to see, without those that are gone."""
    successors = [*(entry.signs_from for entry in ring[1:]), None]
    found = zip(ring, successors, states(ring, now), strict=True)
    return [_described(entry, end, state) for entry, end, state in found if state is not State.GONE]


def _state(entry: RingKey, distance: int, now: datetime) -> State:
    if distance >= 0:
        return State.NEXT if distance else State.CURRENT
    return State.GONE if entry.accepted_until is None or entry.accepted_until <= now else State.RETIRED


def _described(entry: RingKey, succeeded: datetime | None, state: State) -> KeyState:
    since, until = {
        State.NEXT: (entry.published, entry.signs_from),
        State.CURRENT: (entry.signs_from, succeeded),
    }.get(state, (succeeded, entry.accepted_until))
    return KeyState(entry.key.kid, entry.key.algorithm, state, None if since == BEGINNING else since, until)


def _span(ring: Ring, now: datetime) -> tuple[datetime, datetime]:
    """Around ``now``, the time in which no key changes its state."""
    moments = {entry.signs_from for entry in ring[1:]} | {entry.accepted_until for entry in ring[:-1]}
    changes = {moment for moment in moments if moment is not None}
    since = max((moment for moment in changes if moment <= now), default=BEGINNING)
    return since, min((moment for moment in changes if moment > now), default=END)


def _by_kid(keys: Iterable[SigningKey]) -> dict[str | None, tuple[SigningKey, ...]]:
    found: dict[str | None, tuple[SigningKey, ...]] = {}
    for key in keys:
        found[key.kid] = (*found.get(key.kid, ()), key)
    return found

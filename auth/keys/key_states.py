"""The states of the keys in a ring: next -> current -> retired -> gone, determined by time alone.

A ring is a sequence of keys in the order in which they sign. Only the clock changes a state, so processes with the same
ring agree without communication.
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
    """State of a key."""

    NEXT = "next"  # published, does not sign yet
    CURRENT = "current"  # signs
    RETIRED = "retired"  # does not sign any more; its tokens are accepted
    GONE = "gone"  # its tokens are rejected, as with an unknown key


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key of a ring. All times are timezone-aware.

    :ivar published: when the key was published.
    :ivar signs_from: when it replaces the key before it.
    :ivar accepted_until: when its last token has expired everywhere; None while it has no successor.
    """

    key: SigningKey
    published: datetime
    signs_from: datetime
    accepted_until: datetime | None = None


Ring = tuple[RingKey, ...]
"""At least one key, in the order in which they sign. All except the last have ``accepted_until``."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """The state of a key for display, without key material.

    :ivar since: when the state began; None for a key without times.
    :ivar until: when the state ends; None if time does not determine that.
    """

    kid: str | None
    algorithm: str
    state: State
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The valid keys from ``since`` until before ``until``.

    :ivar next: the next key, if there is one.
    :ivar published: the valid asymmetric keys, the current one first.
    :ivar accepted: the keys whose tokens are accepted, by ``kid``; shared secrets have none and are under None.
    """

    current: SigningKey
    next: SigningKey | None
    published: tuple[SigningKey, ...]
    accepted: Mapping[str | None, tuple[SigningKey, ...]]
    since: datetime
    until: datetime

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set to publish, without shared secrets."""
        return {"keys": [jwk for key in self.published for jwk in key.jwks()["keys"]]}


def key_set(ring: Ring, secrets: Sequence[SigningKey], now: datetime) -> KeySet:
    """The valid keys at ``now``.

    :param secrets: shared secrets that are accepted in addition to the ring.
    """
    found = states(ring, now)
    signing = found.index(State.CURRENT)
    waiting = ring[signing + 1].key if signing + 1 < len(ring) else None
    valid = [entry.key for entry, state in zip(ring, found, strict=True) if state is not State.GONE]
    # The current key first, for readers that use the first key.
    published = sorted((key for key in valid if key.kid), key=lambda key: key is not ring[signing].key)
    since, until = _span(ring, now)
    return KeySet(ring[signing].key, waiting, tuple(published), _by_kid([*valid, *secrets]), since, until)


def states(ring: Ring, now: datetime) -> list[State]:
    """The state of each key at ``now``. The first key signs even if the clock is behind its creation."""
    begun = [entry for entry in ring[1:] if entry.signs_from <= now]
    signing = len(begun)
    return [_state(entry, place - signing, now) for place, entry in enumerate(ring)]


def described(ring: Ring, now: datetime) -> list[KeyState]:
    """The states of the keys for display, except keys that are gone."""
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
    """The period around ``now`` in which no key changes its state."""
    moments = {entry.signs_from for entry in ring[1:]} | {entry.accepted_until for entry in ring[:-1]}
    changes = {moment for moment in moments if moment is not None}
    since = max((moment for moment in changes if moment <= now), default=BEGINNING)
    return since, min((moment for moment in changes if moment > now), default=END)


def _by_kid(keys: Iterable[SigningKey]) -> dict[str | None, tuple[SigningKey, ...]]:
    found: dict[str | None, tuple[SigningKey, ...]] = {}
    for key in keys:
        found[key.kid] = (*found.get(key.kid, ()), key)
    return found

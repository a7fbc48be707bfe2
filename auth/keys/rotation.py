"""Rotation: a new key is published first and signs later; the old key stays until its tokens have expired."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timedelta

from auth.errors import RotationRefused
from auth.keys.key_states import Ring
from auth.keys.key_states import RingKey
from auth.keys.key_states import State
from auth.keys.key_states import states
from auth.keys.signing import SigningKey


@dataclass(frozen=True, slots=True)
class Schedule:
    """Durations of a rotation.

    :ivar publish: how long a key is published before it signs.
    :ivar retain: how long a key is accepted after it last signed: the longest lifetime of a token, the time for which
        others may cache the published keys, and the leeway between clocks.
    """

    publish: timedelta
    retain: timedelta


def rotated(ring: Ring, key: SigningKey, schedule: Schedule, now: datetime) -> Ring:
    """The ring with ``key`` as the next key.

    :raises RotationRefused: if there is a next key already.
    """
    if waiting := _waiting(ring, now):
        raise RotationRefused(
            f"There is a next key already: {waiting.key.kid} signs from {waiting.signs_from:%Y-%m-%d %H:%M:%S} UTC. "
            "Use --now to sign with it at once; if a key was stolen, use --now --revoke to replace all keys."
        )
    return _followed_by(RingKey(key, now, now + schedule.publish), ring, schedule, now)


def rotated_now(ring: Ring, key: SigningKey, schedule: Schedule, now: datetime) -> Ring:
    """The ring with a key that signs at once: the next key, which is published already, or else ``key``."""
    waiting = _waiting(ring, now)
    if waiting is None:
        return _followed_by(RingKey(key, now, now), ring, schedule, now)
    return _followed_by(replace(waiting, signs_from=now), ring[:-1], schedule, now)


def revoked(key: SigningKey, now: datetime) -> Ring:
    """A ring of ``key`` alone. It drops a next key, too, which may have been stolen with the current one."""
    return (RingKey(key, now, now),)


def _waiting(ring: Ring, now: datetime) -> RingKey | None:
    return ring[-1] if states(ring, now)[-1] is State.NEXT else None


def _followed_by(successor: RingKey, ring: Ring, schedule: Schedule, now: datetime) -> Ring:
    kept = [entry for entry, state in zip(ring, states(ring, now), strict=True) if state is not State.GONE]
    # Keep the order even if this clock is behind the clock that created the last key.
    signs_from = max(successor.signs_from, kept[-1].signs_from)
    last = replace(kept[-1], accepted_until=signs_from + schedule.retain)
    return (*kept[:-1], last, replace(successor, signs_from=signs_from))

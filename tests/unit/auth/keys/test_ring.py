"""The ring of keys over time: each key's state, what a rotation does, and what it never does."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from itertools import count
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import derive_private_key
from hypothesis import given
from hypothesis import strategies as st

from auth.bridge import AuthBridge
from auth.errors import InvalidToken
from auth.errors import RotationRefused
from auth.keys.key_states import Ring
from auth.keys.key_states import RingKey
from auth.keys.key_states import State
from auth.keys.key_states import described
from auth.keys.key_states import key_set
from auth.keys.key_states import states
from auth.keys.ring import KeyRing
from auth.keys.ring import fixed_ring
from auth.keys.rotation import Schedule
from auth.keys.rotation import revoked
from auth.keys.rotation import rotated
from auth.keys.rotation import rotated_now
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from auth.keys.signing import secret_signing_key
from tests.clocks import START
from tests.clocks import WallClock
from tests.unit.auth.forging import KEY
from tests.unit.auth.forging import SECRET
from tests.unit.auth.forging import STRANGERS_KEY
from tests.unit.auth.forging import forge
from tests.unit.auth.forging import make_bridge

LIFE = 900
SCHEDULE = Schedule(publish=timedelta(seconds=3600), retain=timedelta(seconds=LIFE + 310))
KEYS = [asymmetric_signing_key(derive_private_key(number, SECP256R1()), "ES256") for number in range(1, 30)]
FIRST: Ring = (RingKey(KEYS[0], START, START),)


def at(seconds: float) -> list[State]:
    return states(rotated(FIRST, KEYS[1], SCHEDULE, START), START + timedelta(seconds=seconds))


def published(ring: Ring, seconds: float) -> list[SigningKey]:
    return list(key_set(ring, (), START + timedelta(seconds=seconds)).published)


def test_a_new_key_is_published_an_hour_before_it_signs() -> None:
    assert at(0) == at(3599.999) == [State.CURRENT, State.NEXT]
    assert at(3600) == [State.RETIRED, State.CURRENT]


def test_the_former_key_is_accepted_until_its_last_token_is_over() -> None:
    assert at(3600 + 1209.999) == [State.RETIRED, State.CURRENT]
    assert at(3600 + 1210) == [State.GONE, State.CURRENT]


def test_the_current_key_is_published_first_and_one_that_is_gone_is_not() -> None:
    ring = rotated(FIRST, KEYS[1], SCHEDULE, START)
    assert published(ring, 0) == [KEYS[0], KEYS[1]]
    assert published(ring, 3600) == [KEYS[1], KEYS[0]]
    assert published(ring, 3600 + 1210) == [KEYS[1]]


def test_a_clock_behind_the_one_that_made_the_ring_has_a_key_all_the_same() -> None:
    assert states(FIRST, START - timedelta(days=1)) == [State.CURRENT]
    early = START - timedelta(seconds=5)
    ring = rotated_now(FIRST, KEYS[1], SCHEDULE, early)
    assert states(ring, early) == [State.CURRENT, State.NEXT]
    assert states(ring, START) == [State.RETIRED, State.CURRENT]


def test_a_second_key_does_not_wait_beside_the_first() -> None:
    ring = rotated(FIRST, KEYS[1], SCHEDULE, START)
    with pytest.raises(RotationRefused, match=r"next key already: .* signs from 2030-01-01 01:00:00 UTC"):
        rotated(ring, KEYS[2], SCHEDULE, START + timedelta(seconds=3599))
    later = rotated(ring, KEYS[2], SCHEDULE, START + timedelta(seconds=3600))
    assert states(later, START + timedelta(seconds=3600)) == [State.RETIRED, State.CURRENT, State.NEXT]


def test_at_once_the_key_that_waits_signs_because_others_know_it() -> None:
    now = START + timedelta(seconds=10)
    ring = rotated_now(rotated(FIRST, KEYS[1], SCHEDULE, START), KEYS[2], SCHEDULE, now)
    assert [entry.key for entry in ring] == KEYS[:2]
    assert states(ring, now) == [State.RETIRED, State.CURRENT]
    assert ring[0].accepted_until == now + SCHEDULE.retain


def test_revoked_keys_are_gone_at_once_with_the_one_that_waited() -> None:
    assert [entry.key for entry in revoked(KEYS[2], START)] == [KEYS[2]]


def test_what_people_see_of_the_keys() -> None:
    ring = rotated(FIRST, KEYS[1], SCHEDULE, START)
    hour, end = START + timedelta(hours=1), START + timedelta(seconds=3600 + 1210)
    waiting, later = described(ring, START), described(ring, hour)
    assert [(key.kid, key.state, key.since, key.until) for key in waiting] == [
        (KEYS[0].kid, State.CURRENT, START, hour),
        (KEYS[1].kid, State.NEXT, START, hour),
    ]
    assert [(key.state, key.since, key.until) for key in later] == [
        (State.RETIRED, hour, end),
        (State.CURRENT, hour, None),
    ]
    assert [key.state for key in described(ring, end)] == [State.CURRENT]


steps = st.lists(st.tuples(st.sampled_from(["rotate", "now", "revoke"]), st.integers(0, 5000)), max_size=12)


@given(steps)
def test_whatever_happens_no_good_token_is_refused_and_no_dropped_key_accepted(steps: list[tuple[str, int]]) -> None:
    fresh, now, ring = count(1), START, FIRST
    tokens = [(KEYS[0].kid, START)]
    for step, seconds in steps:
        now += timedelta(seconds=seconds)
        before = ring
        try:
            ring = _after(step, ring, KEYS[next(fresh)], now)
        except RotationRefused:
            assert State.NEXT in states(ring, now)
        keys = key_set(ring, (), now)
        dropped = {entry.key.kid for entry in before} if step == "revoke" else set()
        tokens = [(kid, made) for kid, made in tokens if kid not in dropped]
        tokens.append((keys.current.kid, now))
        good = {kid for kid, made in tokens if now < made + timedelta(seconds=LIFE + 10)}
        assert good <= keys.accepted.keys()
        assert not dropped & keys.accepted.keys()
        assert states(ring, now).count(State.CURRENT) == 1
        assert all(former.signs_from <= later.signs_from for former, later in pairwise(ring))
        assert keys.since <= now < keys.until
        if step == "rotate" and ring is not before:
            assert keys.current.kid == key_set(before, (), now).current.kid


@given(steps, st.lists(st.integers(0, 20000), min_size=2, max_size=10))
def test_between_its_bounds_a_set_of_keys_is_the_same(steps: list[tuple[str, int]], moments: list[int]) -> None:
    fresh, now, ring = count(1), START, FIRST
    for step, seconds in steps:
        now += timedelta(seconds=seconds)
        if step != "rotate" or State.NEXT not in states(ring, now):
            ring = _after(step, ring, KEYS[next(fresh)], now)
    for moment in moments:
        keys = key_set(ring, (), START + timedelta(seconds=moment))
        for bound in (keys.since, keys.until - timedelta(microseconds=1)):
            other = key_set(ring, (), bound)
            assert (other.current, other.next, other.published) == (keys.current, keys.next, keys.published)
            assert (other.since, other.until) == (keys.since, keys.until)


def _after(step: str, ring: Ring, key: SigningKey, now: datetime) -> Ring:
    if step == "revoke":
        return revoked(key, now)
    return (rotated_now if step == "now" else rotated)(ring, key, SCHEDULE, now)


def test_the_bridge_follows_the_ring_by_time_alone() -> None:
    clock = WallClock()
    bridge = _bridge(rotated(FIRST, KEYS[1], SCHEDULE, START), clock)
    tokens = []
    for seconds, kid in ((0, 0), (3599, 0), (1, 1)):
        clock.advance(seconds)
        tokens.append(bridge.generate_token("ada"))
        assert bridge.key.kid == KEYS[kid].kid
    assert bridge.validate_token(tokens[0]) is None  # expired
    assert bridge.verify(tokens[1])["sub"] == bridge.verify(tokens[2])["sub"] == "ada"


def test_a_key_that_waits_is_accepted_for_the_sake_of_clocks_that_are_ahead() -> None:
    bridge = _bridge(rotated(FIRST, KEYS[1], SCHEDULE, START), WallClock())
    assert bridge.verify(forge(key=KEYS[1]))["jti"] == "a1"


def test_the_memory_of_tokens_ends_with_their_key() -> None:
    clock = WallClock()
    ring = (RingKey(KEYS[0], START, START, START + timedelta(seconds=5)), RingKey(KEYS[1], START, START))
    bridge = _bridge(ring, clock)
    token = forge(key=KEYS[0])
    clock.advance(4.999)
    assert bridge.verify(token)
    clock.advance(0.001)
    with pytest.raises(InvalidToken, match="unknown key"):
        bridge.verify(token)


def test_each_key_is_used_with_its_own_algorithm() -> None:
    clock = WallClock()
    bridge = _bridge(FIRST, clock, secret_signing_key(SECRET, production=True))
    secret = secret_signing_key(SECRET, production=True)
    assert bridge.verify(forge(key=secret))["jti"] == "a1"
    for token, reason in (
        (forge(key=secret, kid=KEYS[0].kid), "wrong algorithm"),
        (forge(key=KEYS[0], kid=None), "wrong algorithm"),
        (forge(key=KEYS[0], alg="HS256"), "wrong algorithm"),
        (forge(key=secret, alg="ES256"), "wrong algorithm"),
        (forge(key=secret, kid="other"), "unknown key"),
    ):
        with pytest.raises(InvalidToken, match=reason):
            bridge.verify(token)


def test_former_secrets_verify_and_do_not_sign() -> None:
    current, former, stranger = (secret_signing_key(letter * 40, production=True) for letter in "cfs")
    ring = KeyRing((RingKey(current, START, START),), secrets=(former,), now=WallClock())
    bridge = make_bridge(key=ring)
    assert bridge.verify(forge(key=former))
    assert bridge.verify(forge(key=current))
    assert ring.current is current
    with pytest.raises(InvalidToken, match="wrong signature"):
        bridge.verify(forge(key=stranger))
    assert ring.keys(START).jwks() == {"keys": []}


def test_the_ring_is_made_anew_only_when_something_changes() -> None:
    clock = WallClock()
    ring = KeyRing(rotated(FIRST, KEYS[1], SCHEDULE, START), now=clock)
    first = ring.keys(clock())
    clock.advance(3599)
    assert ring.keys(clock()) is first
    clock.advance(1)
    assert ring.keys(clock()) is not first
    clock.advance(-3600)
    assert ring.keys(clock()).current is first.current


def test_a_key_that_is_in_no_file_is_not_rotated() -> None:
    for how in ({}, {"at_once": True}, {"at_once": True, "revoke": True}):
        with pytest.raises(RotationRefused, match="the program passed it to the application"):
            make_bridge().rotate_key(**how)
    assert fixed_ring(KEY).current is KEY
    with pytest.raises(ValueError, match="revoke=True needs at_once=True"):
        make_bridge().rotate_key(revoke=True)


def test_no_key_of_a_ring_is_shown() -> None:
    text = repr(rotated(FIRST, STRANGERS_KEY, SCHEDULE, START))
    assert "EllipticCurve" not in text
    assert str(STRANGERS_KEY.kid) in text


def _bridge(ring: Ring, clock: WallClock, *secrets: SigningKey) -> AuthBridge:
    return make_bridge(clock, KeyRing(ring, secrets=secrets, now=clock))

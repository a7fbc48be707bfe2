"""Passwords are hashed one at a time, and few threads wait for that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import as_completed
from itertools import islice
from threading import Event
from threading import Lock
from typing import Literal

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError
from argon2.exceptions import VerifyMismatchError

from auth.errors import SignInBusy
from auth.sign_in.hashing import UNUSABLE_HASH
from auth.sign_in.hashing import PasswordHashing
from database.core.clock import monotonic
from database.core.context import current_context

PATIENCE = 30.0  # seconds that only a broken part needs


class HeldHasher(PasswordHasher):
    """Verifies when it is told to go on, and knows how many did so at the same time."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.begun, self.go_on = Event(), Event()
        self.most_at_once = 0
        self._now = 0
        self._lock = Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base's name
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        with self._lock:
            self._now -= 1
        return super().verify(hash, password)


@pytest.mark.parametrize("most_waiting", [0, 3])
def test_one_hashes_and_few_wait(most_waiting: int) -> None:
    hasher = HeldHasher()
    passwords = PasswordHashing(hasher, most_waiting=most_waiting)
    stored = passwords.hash("secret")
    with ThreadPoolExecutor(12) as threads:
        turns = [threads.submit(passwords.matches, stored, "secret") for _ in range(12)]
        # All but the one that hashes and those that wait are over at once.
        over = list(islice(as_completed(turns, PATIENCE), 11 - most_waiting))
        hasher.go_on.set()
    assert all(isinstance(turn.exception(), SignInBusy) for turn in over)
    assert [turn.result() for turn in turns if turn not in over] == [True] * (1 + most_waiting)
    assert hasher.most_at_once == 1


def test_who_waits_gives_up_at_the_deadline() -> None:
    hasher = HeldHasher()
    passwords = PasswordHashing(hasher)
    stored = passwords.hash("secret")
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(passwords.matches, stored, "secret")
        assert hasher.begun.wait(PATIENCE)
        token = current_context.set(current_context.get().until(monotonic() + 0.05))
        try:
            with pytest.raises(SignInBusy):
                passwords.hash("other")
        finally:
            current_context.reset(token)
        hasher.go_on.set()
        assert first.result(PATIENCE)


def test_a_turn_ends_whatever_comes_of_it() -> None:
    passwords = PasswordHashing(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), most_waiting=0)
    stored = passwords.hash("secret")
    for wrong in (stored, None, UNUSABLE_HASH):
        assert passwords.matches(wrong, "other") is False
    with pytest.raises(InvalidHashError):
        passwords.matches("no hash", "secret")
    assert passwords.matches(stored, "secret") is True


class RecordingHasher(PasswordHasher):
    """Keeps what is hashed, and what passwords are compared with."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=32, parallelism=2, hash_len=24, salt_len=12)
        self.hashed: list[str | bytes] = []
        self.compared: list[str | bytes] = []

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.hashed.append(password)
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base's name
        self.compared.append(hash)
        return super().verify(hash, password)


@pytest.mark.parametrize("stored", [None, UNUSABLE_HASH])
def test_without_a_password_there_is_equal_work(stored: str | None) -> None:
    hasher = RecordingHasher()
    assert not PasswordHashing(hasher).matches(stored, "secret")
    (nobodys,) = hasher.compared
    assert not hasher.check_needs_rehash(str(nobodys))
    with pytest.raises(VerifyMismatchError):
        hasher.verify(nobodys, "secret")


def test_nothing_is_hashed_before_a_password_comes() -> None:
    hasher = RecordingHasher()
    passwords = PasswordHashing(hasher)
    assert hasher.hashed == []
    assert passwords.matches(passwords.hash("secret"), "secret")
    assert hasher.hashed == ["secret"]

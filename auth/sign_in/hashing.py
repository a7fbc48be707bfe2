"""Password hashing, one at a time: argon2id needs 64 MiB and much CPU time for each password, by design.

A process that hashed in all threads at once would need gigabytes for a burst of sign-ins. Only a few threads may wait
for their turn, so that the others can serve other requests. Further sign-ins get :class:`~auth.errors.SignInBusy`.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from auth.errors import SignInBusy
from database.core.clock import monotonic
from database.core.context import current_context
from database.core.lifecycle import rebuild_after_fork
from database.resilience.deadline import remaining

UNUSABLE_HASH: Final = "!"
"""The stored hash of an account without a password. No password has this hash."""

MOST_WAITING: Final = 3
"""Default number of threads that may wait for their turn."""
PATIENCE: Final = 10.0
"""Seconds that a thread waits for its turn."""

_HASHER: Final = PasswordHasher()


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """A random value in the form of a hash, to verify a password against if there is no account: it takes the same
    time. Computing a real hash would cost every start that time and 64 MiB.
    """
    work = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (_encoded(secrets.token_bytes(length)) for length in (hasher.salt_len, hasher.hash_len))
    return f"$argon2{hasher.type.name.lower()}$v={ARGON2_VERSION}${work}${salt}${digest}"


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")


class PasswordHashing:
    """Hashes and verifies passwords, one at a time.

    :param hasher: argon2id with its parameters.
    :param most_waiting: how many threads may wait for their turn.
    """

    def __init__(self, hasher: PasswordHasher | None = None, *, most_waiting: int = MOST_WAITING) -> None:
        self._hasher = hasher or _HASHER
        self._nobodys_hash = _hash_of_nobody(self._hasher)
        self._most_waiting = most_waiting
        self._create_runtime_state()
        rebuild_after_fork(self, PasswordHashing._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child, in which nobody else waits."""
        self._turn = Semaphore()
        self._places = Semaphore(1 + self._most_waiting)

    def hash(self, password: str) -> str:
        """Hash a password for storage.

        :raises SignInBusy: if too many threads wait already, or the turn does not come within ``PATIENCE``.
        """
        with self._in_turn():
            return self._hasher.hash(password)

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password has this hash. None and :data:`UNUSABLE_HASH` take the same time and never match.

        :raises SignInBusy: as :meth:`hash`.
        """
        known = None if password_hash == UNUSABLE_HASH else password_hash
        with self._in_turn():
            try:
                self._hasher.verify(known or self._nobodys_hash, password)
            except VerifyMismatchError:
                return False
        return known is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash has other parameters than the hasher."""
        return self._hasher.check_needs_rehash(password_hash)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise SignInBusy
        try:
            if not self._turn.acquire(timeout=min(PATIENCE, remaining(current_context.get(), monotonic))):
                raise SignInBusy
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

"""The keys of the application: which one signs now, which are accepted, and how they are changed.

They come from the first of these that the settings name: a shared secret (``HS256``), one private key in a file, or a
file of keys that rotate, which is made if there is none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence
from datetime import datetime
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from auth.errors import KeyConfigurationError
from auth.errors import RotationRefused
from auth.keys.key_states import BEGINNING
from auth.keys.key_states import KeySet
from auth.keys.key_states import KeyState
from auth.keys.key_states import Ring
from auth.keys.key_states import RingKey
from auth.keys.key_states import State
from auth.keys.key_states import described
from auth.keys.key_states import key_set
from auth.keys.pem import new_private_key
from auth.keys.pem import read_private_key
from auth.keys.ring_file import LOCK_SETTING
from auth.keys.ring_file import KeyringFile
from auth.keys.rotation import Schedule
from auth.keys.rotation import revoked
from auth.keys.rotation import rotated
from auth.keys.rotation import rotated_now
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from auth.keys.signing import complain
from auth.keys.signing import configured_key
from auth.keys.signing import known_algorithm
from auth.keys.signing import previous_secrets
from auth.keys.signing import refuse_weak_secret
from config.fields import JwtAlgorithm
from config.settings import Settings
from database.core.clock import utc_now
from database.core.lifecycle import rebuild_after_fork

logger = logging.getLogger(__name__)

JWKS_MAX_AGE = 300
"""Seconds for which others may keep the published keys."""

LOOK_EVERY = timedelta(seconds=1)
"""How often the file is looked at, when it is used; the other processes' changes are known after that."""

_NO_FILE = {
    "JWT_SECRET": "set a new JWT_SECRET, and add the former one to JWT_PREVIOUS_SECRETS until its tokens have expired",
    "JWT_PRIVATE_KEY_FILE": "it holds one key; leave it out to have a file of keys that rotate (JWT_KEYRING_FILE)",
}


class KeyRing:
    """The keys in force. Threads may share it; what other processes change in its file is known within a second.

    A file that is gone or damaged later leaves the keys in force that were read last, is logged once, and stands in
    :attr:`problem` until it is good again.

    :ivar problem: what is wrong with the file, or None.
    :param ring: the keys, if they are not in a file.
    :param secrets: shared secrets whose tokens are accepted, too.
    :param why_fixed: what to do instead of a rotation, for keys that are in no file.
    :param now: the wall clock, aware.
    :param make: makes the file of keys, which does not exist yet, before the keys are used first.
    """

    def __init__(
        self,
        ring: Ring | KeyringFile,
        *,
        secrets: Sequence[SigningKey] = (),
        why_fixed: str = "it was given to the application by its program",
        now: Callable[[], datetime] = utc_now,
        make: Callable[[], None] | None = None,
    ) -> None:
        self.problem: str | None = None
        self._make = make
        self._file = ring if isinstance(ring, KeyringFile) else None
        self._ring = ring.ring if isinstance(ring, KeyringFile) else ring
        self._secrets = tuple(secrets)
        self._why_fixed = why_fixed
        self._now = now
        self._build()
        rebuild_after_fork(self, KeyRing._build)
        # One attribute, because those who read it take no lock.
        begun = now()
        nothing = (begun, begun, KeySet.__new__(KeySet))
        self._view = nothing if make else self._seen_at(begun, key_set(self._ring, self._secrets, begun))

    def _build(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._lock = Lock()

    def keys(self, now: datetime) -> KeySet:
        """The keys in force at ``now``, by this ring's clock; the same object as long as nothing changes."""
        since, until, keys = self._view
        return keys if since <= now < until else self._look(now, forced=False)

    def reload(self, now: datetime) -> KeySet:
        """The keys in force after a look at the file, however short ago the last one was."""
        return self._look(now, forced=True)

    @property
    def exists(self) -> bool:
        """Whether there are keys; if not, they are made before their first use."""
        return self._make is None

    @property
    def current(self) -> SigningKey:
        """The key that signs now."""
        return self.keys(self._now()).current

    @property
    def next(self) -> SigningKey | None:
        """The key that waits, if there is one."""
        return self.keys(self._now()).next

    def states(self) -> list[KeyState]:
        """What each key is for, in the order in which they sign; shared secrets of the past come last."""
        now = self._now()
        self.keys(now)
        former = [KeyState(None, key.algorithm, State.RETIRED, None, None) for key in self._secrets]
        return [*described(self._ring, now), *former]

    def snapshot(self) -> dict[str, Any]:
        """The states and what is wrong with the file, for people; nothing of the keys themselves."""
        keys = [{"kid": one.kid, "algorithm": one.algorithm, "state": one.state} for one in self.states()]
        return {"keys": keys, "problem": self.problem}

    def rotate(
        self, schedule: Schedule, algorithm: JwtAlgorithm, *, at_once: bool = False, revoke: bool = False
    ) -> None:
        """Add a key that will sign, and retire the one that does.

        :param algorithm: of the new key.
        :param at_once: have it sign now, or the one that waits.
        :param revoke: the new key replaces all others at once, and their tokens are refused; implies ``at_once``.
        :raises RotationRefused: if a key waits already, or the keys are in no file.
        :raises KeyConfigurationError: if the file cannot be read or written.
        """
        if self._file is None:
            raise RotationRefused(f"This key is not rotated: {self._why_fixed}.")
        self.keys(self._now())  # made now, if there are none yet
        key = asymmetric_signing_key(new_private_key(algorithm), algorithm)

        def change(ring: Ring) -> Ring:
            now = self._now()
            if revoke:
                return revoked(key, now)
            return (rotated_now if at_once else rotated)(ring, key, schedule, now)

        with self._lock:
            self._file.change(change)
        self.reload(self._now())

    def _look(self, now: datetime, *, forced: bool) -> KeySet:
        with self._lock:
            if self._make is not None and self._file is not None:
                self._make()
                self._make, self._ring = None, self._file.ring
                forced = True
            since, until, keys = self._view
            if since <= now < until and not forced:
                return keys
            if self._read_again() or forced or not keys.since <= now < keys.until:
                keys = key_set(self._ring, self._secrets, now)
            self._view = self._seen_at(now, keys)
            return keys

    def _seen_at(self, now: datetime, keys: KeySet) -> tuple[datetime, datetime, KeySet]:
        """The keys with the time in which they need no look; it ends on both sides, as a clock may be put back."""
        if self._file is None:
            return keys.since, keys.until, keys
        return max(keys.since, now), min(keys.until, now + LOOK_EVERY), keys

    def _read_again(self) -> bool:
        """Whether the file holds another ring now."""
        if self._file is None:
            return False
        try:
            self._file.refresh()
        except KeyConfigurationError as error:
            self._note(str(error))
        former, self._ring = self._ring, self._file.ring
        if former is self._ring:
            return False
        self._note(None)
        return True

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            logger.warning("the keys that were read last stay in force: %s", problem)
        elif problem is None and self.problem is not None:
            logger.info("the keys can be read again")
        self.problem = problem


def fixed_ring(key: SigningKey, *, now: Callable[[], datetime] = utc_now) -> KeyRing:
    """A ring of one key that does not rotate."""
    return KeyRing((RingKey(key, BEGINNING, BEGINNING),), now=now)


def load_keyring(
    settings: Settings,
    algorithm: str | None = None,
    *,
    now: Callable[[], datetime] = utc_now,
    make_file: bool = True,
) -> KeyRing:
    """The ring that the settings ask for.

    :param algorithm: instead of the settings' own.
    :param make_file: whether a file of keys that does not exist is made now, and not before its first use.
    :raises KeyConfigurationError: if a key is missing, unreadable, or too weak for production; says what to set.
    """
    chosen = known_algorithm(algorithm or settings.jwt_algorithm)
    secrets = previous_secrets(settings)
    key = configured_key(settings, chosen)
    if key is None:
        file = _keyring_file(settings)
        prepare = partial(_prepare, file, settings, chosen, now)
        if make_file or file.path.exists():
            prepare()
            return KeyRing(file, secrets=secrets, now=now)
        file.require_writable()
        return KeyRing(file, secrets=secrets, now=now, make=prepare)
    why = _NO_FILE["JWT_SECRET" if chosen == "HS256" else "JWT_PRIVATE_KEY_FILE"]
    return KeyRing((RingKey(key, BEGINNING, BEGINNING),), secrets=secrets, why_fixed=why, now=now)


def _keyring_file(settings: Settings) -> KeyringFile:
    password = _password(settings)
    setting = "INSTANCE_PATH" if settings.jwt_keyring_file is None else "JWT_KEYRING_FILE"
    path = settings.jwt_keyring_file or settings.instance_path / "keyring.json"
    return KeyringFile(path, password, setting=setting, production=settings.production)


def _prepare(file: KeyringFile, settings: Settings, algorithm: JwtAlgorithm, now: Callable[[], datetime]) -> None:
    former = settings.instance_path / f"jwt_{algorithm.lower()}.pem"
    file.prepare(partial(_first_key, former, algorithm), now)
    if former.exists():
        file.exclusively(partial(_forget_former, former, algorithm, file.ring))
    if algorithm not in {entry.key.algorithm for entry in file.ring[-1:]}:
        logger.warning("JWT_ALGORITHM=%s takes effect at the next rotation of the keys", algorithm)


def _password(settings: Settings) -> str | None:
    if settings.jwt_keyring_password is None:
        advice = (
            "is needed to lock the private keys on the disk; set it to 32 random characters or more, or name a key of"
            " your own in JWT_PRIVATE_KEY_FILE, or JWT_SECRET to use HS256"
        )
        complain(LOCK_SETTING, advice, refuse=settings.production)
        return None
    password = settings.jwt_keyring_password.get_secret_value()
    refuse_weak_secret(password, LOCK_SETTING, production=settings.production)
    return password


def _first_key(former: Path, algorithm: JwtAlgorithm) -> SigningKey:
    """The key that earlier versions kept in a file of its own, whose tokens are out, or else a new one."""
    if former.exists():
        return asymmetric_signing_key(read_private_key(former, algorithm, "INSTANCE_PATH"), algorithm)
    return asymmetric_signing_key(new_private_key(algorithm), algorithm)


def _forget_former(former: Path, algorithm: JwtAlgorithm, ring: Ring) -> None:
    """Delete the file of a key that is in the ring, where it may be locked."""
    if former.exists() and _first_key(former, algorithm).kid in {entry.key.kid for entry in ring}:
        former.unlink()

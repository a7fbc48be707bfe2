"""The key ring file, shared by all processes: encrypted private keys and atomic replacement."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal
from typing import Self

from pydantic import AwareDatetime
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import ValidationError
from pydantic import model_validator

from auth.errors import KeyConfigurationError
from auth.keys.key_states import Ring
from auth.keys.key_states import RingKey
from auth.keys.pem import locked_for_writing
from auth.keys.pem import opened_private_key
from auth.keys.pem import private_pem
from auth.keys.pem import replace_file
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from auth.keys.signing import refuse_open_file

LOCK_SETTING = "JWT_KEYRING_PASSWORD"

_LOCKED = "-----BEGIN ENCRYPTED"


class _StoredKey(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kid: str
    algorithm: Literal["ES256", "RS256"]
    published: AwareDatetime
    signs_from: AwareDatetime
    accepted_until: AwareDatetime | None
    private_key: str = Field(repr=False)


class _StoredRing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Literal[1] = 1
    keys: tuple[_StoredKey, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for former, successor in pairwise(self.keys):
            if former.accepted_until is None or not former.signs_from <= successor.signs_from <= former.accepted_until:
                raise ValueError("the times of the keys are not in order")
        return self


class KeyringFile:
    """A key ring file. Not thread-safe.

    :ivar ring: the ring that was read last.
    :param password: encrypts the private keys; None stores them unencrypted.
    :param setting: the setting with the path, to name in errors.
    :param production: whether access of other users to the file is an error rather than a warning.
    """

    def __init__(self, path: Path, password: str | None, *, setting: str, production: bool) -> None:
        self.path = path
        self.ring: Ring = ()
        self._password = None if password is None else password.encode()
        self._setting = setting
        self._production = production
        self._seen: tuple[int, int, int] | None = None
        self._opened: dict[str, SigningKey] = {}

    def prepare(self, first_key: Callable[[], SigningKey], now: Callable[[], datetime]) -> None:
        """Read the ring. Create it with one key if it does not exist, and encrypt it if there is a password.

        Concurrent processes get the same ring.

        :raises KeyConfigurationError: if the ring cannot be read or created; a damaged file is never replaced.
        """

        def make() -> None:
            if not self.path.exists():
                self._write((RingKey(first_key(), now(), now()),))

        if not self.path.exists():
            self.run_locked(make)
        self._read()
        if self._password is not None and not all(pem.startswith(_LOCKED) for pem in self._opened):
            self.change(lambda ring: ring)

    def require_writable(self) -> None:
        """Check that the file can be created, without creating it. :raises KeyConfigurationError: if it cannot."""
        folder = next(parent for parent in self.path.absolute().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise KeyConfigurationError(self._setting, f"cannot write to {self.path.parent}; change its permissions")

    def refresh(self) -> None:
        """Read the ring again if the file has changed.

        :raises KeyConfigurationError: if the file cannot be read or is damaged; :attr:`ring` does not change. For a
            damaged file it is raised once.
        """
        try:
            changed = _identity(self.path.stat()) != self._seen
        except OSError as error:
            raise self._unreadable(error) from error
        if changed:
            self._read()

    def change(self, change: Callable[[Ring], Ring]) -> None:
        """Replace the ring with the result of ``change``, under the lock of the file.

        :raises KeyConfigurationError: if the file cannot be read or written.
        """

        def write() -> None:
            self._require_ownership()
            self._read()
            self._write(change(self.ring))

        self.run_locked(write)
        self._read()

    def run_locked(self, action: Callable[[], object]) -> None:
        """Call ``action`` while no other process changes the file.

        :raises KeyConfigurationError: if it cannot write.
        """
        try:
            with locked_for_writing(self.path):
                action()
        except OSError as error:
            advice = f"cannot write to {self.path.parent}: {error.strerror}"
            raise KeyConfigurationError(self._setting, advice) from error

    def _read(self) -> None:
        try:
            with self.path.open("rb") as file:
                identity, content = _identity(os.fstat(file.fileno())), file.read()
            refuse_open_file(self.path, self._setting, production=self._production)
        except OSError as error:
            raise self._unreadable(error) from error
        # Before parsing, so that a damaged file is not parsed again until it changes.
        self._seen = identity
        self.ring = self._parsed(content)

    def _require_ownership(self) -> None:
        if self.path.stat().st_uid != os.geteuid():
            advice = f"{self.path} belongs to another user, who could not read the new file; run this as that user"
            raise KeyConfigurationError(self._setting, advice)

    def _write(self, ring: Ring) -> None:
        stored = _StoredRing(keys=tuple(self._stored(entry) for entry in ring))
        replace_file(self.path, stored.model_dump_json(indent=2).encode() + b"\n")

    def _stored(self, entry: RingKey) -> _StoredKey:
        key = entry.key
        if isinstance(key.private, bytes) or key.algorithm == "HS256" or key.kid is None:
            raise ValueError("a shared secret cannot be stored in a key ring file")
        return _StoredKey(
            kid=key.kid,
            algorithm=key.algorithm,
            published=entry.published,
            signs_from=entry.signs_from,
            accepted_until=entry.accepted_until,
            private_key=private_pem(key.private, self._password).decode(),
        )

    def _parsed(self, content: bytes) -> Ring:
        try:
            stored = _StoredRing.model_validate_json(content)
        except ValidationError:
            # No cause: the error contains the rejected content.
            raise KeyConfigurationError(self._setting, f"{self.path} is damaged; restore it from a backup") from None
        opened = {key.private_key: self._opened.get(key.private_key) or self._open(key) for key in stored.keys}
        self._opened = opened
        return tuple(
            RingKey(opened[key.private_key], key.published, key.signs_from, key.accepted_until) for key in stored.keys
        )

    def _open(self, stored: _StoredKey) -> SigningKey:
        locked, source = stored.private_key.startswith(_LOCKED), f"{self.path}, key {stored.kid},"
        if locked and self._password is None:
            raise KeyConfigurationError(LOCK_SETTING, f"is required, because the keys in {self.path} are encrypted")
        setting, password = (LOCK_SETTING, self._password) if locked else (self._setting, None)
        private = opened_private_key(stored.private_key.encode(), password, stored.algorithm, source, setting)
        key = asymmetric_signing_key(private, stored.algorithm)
        if key.kid != stored.kid:
            raise KeyConfigurationError(self._setting, f"{source} contains another key; restore it from a backup")
        return key

    def _unreadable(self, error: OSError) -> KeyConfigurationError:
        # The same file may become readable again.
        self._seen = None
        return KeyConfigurationError(self._setting, f"cannot read {self.path}: {error.strerror}")


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size

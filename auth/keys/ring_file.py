"""A ring of keys in a file: private keys locked with a password, replaced as a whole, the same for all processes."""

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
                raise ValueError("the times of the keys do not follow each other")
        return self


class KeyringFile:
    """The file of a ring; used by one thread at a time.

    :ivar ring: what was read last.
    :param password: locks the private keys; without one they lie there as they are.
    :param setting: what names the file, for a complaint.
    :param production: whether a file that is open to other users is refused rather than logged.
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
        """Read the ring; made of one key if there is none, and locked if it is not and there is a password.

        Processes that do this at the same time end up with the same ring.

        :raises KeyConfigurationError: if the ring cannot be read or made; one that is damaged is never replaced.
        """

        def make() -> None:
            if not self.path.exists():
                self._write((RingKey(first_key(), now(), now()),))

        if not self.path.exists():
            self.exclusively(make)
        self._read()
        if self._password is not None and not all(pem.startswith(_LOCKED) for pem in self._opened):
            self.change(lambda ring: ring)

    def require_writable(self) -> None:
        """Look whether the file could be made, and make nothing. :raises KeyConfigurationError: if it could not."""
        folder = next(parent for parent in self.path.absolute().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise KeyConfigurationError(self._setting, f"{self.path.parent} cannot be written to")

    def refresh(self) -> None:
        """Read the ring again if the file is another one.

        :raises KeyConfigurationError: if it cannot be read or is damaged; :attr:`ring` stays as it was. A damaged
            file is complained about once.
        """
        try:
            changed = _identity(self.path.stat()) != self._seen
        except OSError as error:
            raise self._unreadable(error) from error
        if changed:
            self._read()

    def change(self, change: Callable[[Ring], Ring]) -> None:
        """Replace the ring by what ``change`` makes of it, while no other process does.

        :raises KeyConfigurationError: if it cannot be read or written.
        """

        def write() -> None:
            self._require_ownership()
            self._read()
            self._write(change(self.ring))

        self.exclusively(write)
        self._read()

    def exclusively(self, action: Callable[[], object]) -> None:
        """Do something with the file while no other process changes it.

        :raises KeyConfigurationError: if something cannot be written.
        """
        try:
            with locked_for_writing(self.path):
                action()
        except OSError as error:
            advice = f"{self.path.parent} cannot be written to: {error.strerror}"
            raise KeyConfigurationError(self._setting, advice) from error

    def _read(self) -> None:
        try:
            with self.path.open("rb") as file:
                identity, content = _identity(os.fstat(file.fileno())), file.read()
            refuse_open_file(self.path, self._setting, production=self._production)
        except OSError as error:
            raise self._unreadable(error) from error
        # Also if it turns out to be damaged: it is not parsed again until it is another one.
        self._seen = identity
        self.ring = self._parsed(content)

    def _require_ownership(self) -> None:
        if self.path.stat().st_uid != os.geteuid():
            advice = f"{self.path} belongs to another user, who could not read it any more; do this as that user"
            raise KeyConfigurationError(self._setting, advice)

    def _write(self, ring: Ring) -> None:
        stored = _StoredRing(keys=tuple(self._stored(entry) for entry in ring))
        replace_file(self.path, stored.model_dump_json(indent=2).encode() + b"\n")

    def _stored(self, entry: RingKey) -> _StoredKey:
        key = entry.key
        if isinstance(key.private, bytes) or key.algorithm == "HS256" or key.kid is None:
            raise ValueError("a shared secret is not kept in a file of keys")
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
            # The error keeps what it refused, so it must not travel along as a cause.
            raise KeyConfigurationError(self._setting, f"{self.path} is damaged; put back a copy of it") from None
        opened = {key.private_key: self._opened.get(key.private_key) or self._open(key) for key in stored.keys}
        self._opened = opened
        return tuple(
            RingKey(opened[key.private_key], key.published, key.signs_from, key.accepted_until) for key in stored.keys
        )

    def _open(self, stored: _StoredKey) -> SigningKey:
        locked, source = stored.private_key.startswith(_LOCKED), f"{self.path}, key {stored.kid},"
        if locked and self._password is None:
            raise KeyConfigurationError(LOCK_SETTING, f"is needed, because the keys in {self.path} are locked")
        setting, password = (LOCK_SETTING, self._password) if locked else (self._setting, None)
        private = opened_private_key(stored.private_key.encode(), password, stored.algorithm, source, setting)
        key = asymmetric_signing_key(private, stored.algorithm)
        if key.kid != stored.kid:
            raise KeyConfigurationError(self._setting, f"{source} holds another key")
        return key

    def _unreadable(self, error: OSError) -> KeyConfigurationError:
        # The same file may come back.
        self._seen = None
        return KeyConfigurationError(self._setting, f"{self.path} cannot be read: {error.strerror}")


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size

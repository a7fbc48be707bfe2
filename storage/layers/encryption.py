"""Encryption at rest: each body has a key of its own, which is stored beside it, wrapped by a key of the application.

AES-256-GCM seals a body together with the names of its tenant, its key and its version, so that it cannot be moved to
another entry, cut, or replaced by an older one. A new key of the application is used for new bodies at once; those that
are there are wrapped again by :func:`rewrap`, which does not touch the bodies.
"""

from __future__ import annotations

import os
from binascii import a2b_base64
from binascii import b2a_base64
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import ClassVar
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from database.core.context import current_context
from database.resilience.stages import Handler
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import DAMAGED
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConflictError
from storage.core.errors import StoragePermissionError
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Scan
from storage.layers.coding import Coding
from storage.layers.coding import Undecodable

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ALGORITHM: Final = "A256GCM"
_PAGE: Final = 100


class Keys:
    """The application's keys by their names.

    :param keys: 32 bytes each; former ones are kept as long as an entry is wrapped by them.
    :param current: the name of the one that wraps new entries.
    :raises StorageConfigurationError: names what is wrong.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        if wrong := [name for name, key in keys.items() if len(key) != _KEY_BYTES]:
            raise StorageConfigurationError(f"the storage keys {', '.join(wrong)} must have {_KEY_BYTES} bytes each")
        if current not in keys:
            raise StorageConfigurationError(f"the current storage key {current!r} is none of the keys")
        self.current = current
        self._keys = {name: AESGCM(key) for name, key in keys.items()}

    def wrapped(self, key: bytes, about: bytes) -> str:
        """The key of a body, encrypted with the current one."""
        nonce = os.urandom(_NONCE_BYTES)
        return _text(nonce + self._keys[self.current].encrypt(nonce, key, about))

    def unwrapped(self, name: str, wrapped: str, about: bytes) -> bytes:
        """The key of a body. :raises Undecodable: if it was wrapped by another key, or for something else."""
        key = self._keys.get(name)
        if key is None:
            raise Undecodable(f"it is encrypted with the key {name[:64]!r}, which is not among the storage keys")
        sealed = _bytes(wrapped)
        try:
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
        except (InvalidTag, ValueError) as error:
            raise Undecodable("its key was exchanged or damaged") from error


class Encryption(Coding):
    """Encrypts the bodies of all entries; their keys and metadata stay readable, so that they can be found.

    :param tenant: whose store it is, or a function that returns whose entries the current caller reads and writes;
        those of one tenant cannot be read as those of another.
    :param required: refuse entries that are not encrypted, so that nobody can put one in the place of another. False
        for a store whose plain entries are still to be encrypted.
    :ivar behind: the stage behind it, for :func:`rewrap`.
    """

    media_type: ClassVar[str] = "application/vnd.isthmus.sealed"
    name: ClassVar[str] = "sealed"

    def __init__(self, keys: Keys, tenant: str | Callable[[], str] = "", *, required: bool = True) -> None:
        super().__init__()
        self.required = required
        self._keys = keys
        self._tenant = tenant

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        return replace(super().offers(inner), tenants=inner.tenants or callable(self._tenant))

    def around(self, inner: Handler) -> Handler:
        self.behind = inner
        return super().around(inner)

    def coded(self, entry: Stored) -> tuple[bytes, Mapping[str, str]]:
        tenant = self._current_tenant()
        about = _about(tenant, entry)
        # At once: each call asks the kernel.
        drawn = os.urandom(_KEY_BYTES + _NONCE_BYTES)
        key, nonce = drawn[:_KEY_BYTES], drawn[_KEY_BYTES:]
        # Beside the body, because to put it before would copy the body.
        notes = {"by": _ALGORITHM, "nonce": _text(nonce), "key": self._keys.current}
        notes["with"] = self._keys.wrapped(key, about)
        if tenant:
            notes["for"] = tenant
        return AESGCM(key).encrypt(nonce, entry.body, about), notes

    def decoded(self, entry: Stored, body: bytes, notes: Mapping[str, str]) -> bytes:
        tenant = self._current_tenant()
        if notes.get("for", tenant) != tenant:
            raise Undecodable("it belongs to another tenant")
        about = _about(tenant, entry)
        key = self._keys.unwrapped(notes["key"], notes["with"], about)
        try:
            return AESGCM(key).decrypt(_bytes(notes["nonce"]), body, about)
        except (InvalidTag, ValueError) as error:
            raise Undecodable("its bytes were changed, cut or exchanged") from error

    def is_current(self, entry: Stored) -> bool:
        """Whether a rotation leaves an entry as it is: what is known about it without its body tells.

        A plain one is encrypted, unless encryption is required: then somebody has put it there.
        """
        if not self.has(entry):
            return self.required or DAMAGED in entry.headers
        return self.notes(entry).get("key") == self._keys.current

    def rewrapped(self, entry: Stored) -> Stored:
        """The entry with its key wrapped by the current one.

        :raises Undecodable: if its key cannot be unwrapped.
        """
        if not self.has(entry):
            return self._encoded(entry)
        notes = self.notes(entry)
        # That of the entry: a rotation is nobody's own. If the note was changed, the key cannot be unwrapped.
        tenant = notes.get("for", "" if callable(self._tenant) else self._tenant)
        about = _about(tenant, self.before(entry))
        key = self._keys.unwrapped(notes.get("key", ""), notes.get("with", ""), about)
        changed = {"key": self._keys.current, "with": self._keys.wrapped(key, about)}
        return entry._replace(headers=self.noted(entry.headers, changed))

    def _current_tenant(self) -> str:
        if not callable(self._tenant):
            return self._tenant
        tenant = self._tenant()
        if not tenant or not isinstance(tenant, str):
            raise StoragePermissionError("the store's entries belong to tenants, and the current caller has none")
        return tenant


def _about(tenant: str, entry: Stored) -> bytes:
    """What a body and its key are bound to."""
    return orjson.dumps([tenant, entry.key, entry.etag, entry.headers.get(MEDIA_TYPE, JSON_TYPE)])


@dataclass(slots=True)
class Rewrapping:
    """How far a rotation has come.

    :ivar seen: entries looked at.
    :ivar done: entries whose keys were wrapped again, or that were encrypted.
    :ivar unreadable: the keys of entries that cannot be read.
    :ivar last: the key behind which to go on after an interruption.
    """

    seen: int
    done: int
    unreadable: list[str]
    last: str | None


def rewrap(
    handler: Handler,
    encryption: Encryption,
    *,
    after: str | None = None,
    dry_run: bool = False,
    told: Callable[[Rewrapping], object] = lambda _: None,
) -> Rewrapping:
    """Wrap the keys of all entries with the current key of the application, while others read and write them.

    Plain entries are encrypted if the encryption is not ``required``.

    :param handler: the stage behind the encryption: its own ``behind``, or the backend's ``execute``.
    :param after: the key behind which to begin.
    :param dry_run: only count them.
    :param told: called after each part.
    """
    state = Rewrapping(0, 0, [], after)
    while True:
        entries: list[Stored] = handler(Scan("", state.last, _PAGE), current_context.get()).value
        for entry in entries:
            state.seen += 1
            if not encryption.is_current(entry):
                _rewrap_one(handler, encryption, entry.key, state, dry_run=dry_run)
            # Last of all: who goes on behind it after an interruption misses nothing.
            state.last = entry.key
        told(state)
        if len(entries) < _PAGE:
            return state


def _rewrap_one(handler: Handler, encryption: Encryption, key: str, state: Rewrapping, *, dry_run: bool) -> None:
    entry: Stored | None = handler(Fetch(key), current_context.get()).value
    # Somebody may have deleted it in the meantime, or stored another one, with the current key.
    if entry is None or encryption.is_current(entry):
        return
    try:
        changed = encryption.rewrapped(entry)
        if not dry_run:
            # The same version of the entry: whoever has read it can still replace it.
            handler(Put(changed, entry.etag), current_context.get())
        state.done += 1
    except Undecodable:
        state.unreadable.append(key)
    except StorageConflictError:
        # Somebody has stored another one in the meantime, with the current key.
        return


def _text(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode()


def _bytes(text: str) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise Undecodable("its key was damaged") from error

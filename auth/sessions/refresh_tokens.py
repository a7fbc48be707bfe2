"""Refresh tokens: their format, their stored form, and the recovery of a lost successor.

A token is ``isr_`` and 256 random bits. The database stores only its hash, so nobody who reads the database can use a
token. For a few seconds it also stores the successor of a used token, encrypted with a key derived from the used token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass
from dataclasses import field
from typing import Final
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from auth.errors import InvalidRefreshToken

PREFIX: Final = "isr_"

_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FORM: Final = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
_PURPOSE: Final = b"isthmus: the successor of a refresh token"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token in plain text.

    :ivar text: the token itself; not part of ``repr``.
    """

    text: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Create a random token."""
        return cls(PREFIX + secrets.token_urlsafe(_BYTES))

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse a token that a client sent. :raises InvalidRefreshToken: if it does not have the form of one."""
        if not isinstance(value, str) or _FORM.fullmatch(value) is None:
            raise InvalidRefreshToken
        return cls(value)

    @property
    def id(self) -> str:
        """The id in the database: the token's SHA-256. No salt, because 256 random bits cannot be guessed."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def seal(self, successor: RefreshToken) -> str:
        """Encrypt ``successor`` so that only the owner of this token can read it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, successor.text.encode(), self.id.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str) -> RefreshToken | None:
        """Decrypt the result of :meth:`seal`; None if another token sealed it, or it was modified."""
        try:
            data = base64.urlsafe_b64decode(sealed)
            text = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], self.id.encode())
        except (binascii.Error, ValueError, InvalidTag):
            return None
        return RefreshToken(text.decode())

    @property
    def _cipher(self) -> AESGCM:
        # The token is as random as a key; HKDF derives a key for this purpose only.
        return AESGCM(HKDF(SHA256(), 32, None, _PURPOSE).derive(self.text.encode()))

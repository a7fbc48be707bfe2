"""Refresh tokens: what they look like, what is stored of them, and how a lost one is given out again.

A token is ``isr_`` and 256 random bits. Only its hash is stored, so who reads the database can use none. What a
used token was exchanged for is kept for a moment, sealed with a key that only the used token gives.
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
    """A refresh token in the hands of its owner.

    :ivar text: the token itself; not part of ``repr``.
    """

    text: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """One that nobody has seen before."""
        return cls(PREFIX + secrets.token_urlsafe(_BYTES))

    @classmethod
    def parse(cls, value: object) -> Self:
        """The token that a caller sent. :raises InvalidRefreshToken: if it does not even look like one."""
        if not isinstance(value, str) or _FORM.fullmatch(value) is None:
            raise InvalidRefreshToken
        return cls(value)

    @property
    def id(self) -> str:
        """Under which it is stored: its SHA-256. There are too many tokens to find one by guessing."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def seal(self, successor: RefreshToken) -> str:
        """``successor`` as only the owner of this token can read it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, successor.text.encode(), self.id.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str) -> RefreshToken | None:
        """What :meth:`seal` was given; None if it was sealed by another token, or changed since."""
        try:
            data = base64.urlsafe_b64decode(sealed)
            text = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], self.id.encode())
        except (binascii.Error, ValueError, InvalidTag):
            return None
        return RefreshToken(text.decode())

    @property
    def _cipher(self) -> AESGCM:
        # The token is as random as a key; this makes a key of it that serves nothing else.
        return AESGCM(HKDF(SHA256(), 32, None, _PURPOSE).derive(self.text.encode()))

"""Access tokens as the application makes them, for servers that check them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization import PrivateFormat

from auth.keys.export import data_uri
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key


@dataclass(frozen=True, slots=True)
class JwtProvider:
    """Whose tokens a server accepts.

    :ivar jwks: URL of the public keys, or a ``data:`` URI with them.
    """

    issuer: str
    audience: str
    jwks: str
    algorithm: str = "ES256"

    def environment(self) -> dict[str, str]:
        """What ``auth.config.ts`` reads from the environment of a Convex deployment."""
        return {
            "CONVEX_JWT_ISSUER": self.issuer,
            "CONVEX_JWT_AUDIENCE": self.audience,
            "CONVEX_JWT_JWKS": self.jwks,
            "CONVEX_JWT_ALGORITHM": self.algorithm,
        }


class TokenSigner:
    """Makes tokens that servers with its :attr:`provider` accept.

    :ivar key: signs them; a new one by default.
    """

    def __init__(self, issuer: str = "https://api.example.test/auth/v1", key: SigningKey | None = None) -> None:
        self.key = key or asymmetric_signing_key(generate_private_key(SECP256R1()), "ES256")
        self._issuer = issuer
        self._audience = "authenticated"

    @property
    def provider(self) -> JwtProvider:
        """The settings of a server that accepts the tokens without asking anybody."""
        return JwtProvider(self._issuer, self._audience, data_uri(self.key.jwks()), self.key.algorithm)

    def write_key(self, path: Path) -> Path:
        """Write the key into a new file that only its owner may read, as PEM; the path."""
        assert isinstance(self.key.private, EllipticCurvePrivateKey)
        path.touch(0o600)
        path.write_bytes(self.key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return path

    def token(self, subject: str, **claims: Any) -> str:
        """A token that is good for a quarter of an hour; a claim of None is left out."""
        now = int(time.time())
        standard = {"iss": self._issuer, "aud": self._audience, "sub": subject, "iat": now, "exp": now + 900}
        members = {**standard, "role": "authenticated", **claims}
        payload = {name: value for name, value in members.items() if value is not None}
        headers = {"kid": self.key.kid} if self.key.kid else {}
        return jwt.encode(payload, self.key.private, self.key.algorithm, headers=headers)

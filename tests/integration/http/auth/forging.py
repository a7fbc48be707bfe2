"""What an attacker can make of a good token of his own, the published keys, and a key that is his."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat
from jwt import PyJWS
from jwt.utils import base64url_encode

from auth.bridge import AuthBridge
from database.extension import Isthmus
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Site

STRANGERS_KEY: Final = generate_private_key(SECP256R1())


@dataclass(frozen=True, slots=True)
class Forge:
    """An application, and an attacker who has an account there.

    :ivar good: the attacker's own access token.
    :ivar refresh: the refresh token that came with it.
    """

    site: Site
    good: str
    refresh: str

    @classmethod
    def at(cls, site: Site) -> Forge:
        """One with a new account."""
        answer = site.post("/auth/register", {"email": "mallory@example.org", "password": PASSWORD}).json
        return cls(site, answer["access_token"], answer["refresh_token"])

    @property
    def bridge(self) -> AuthBridge:
        bridge: AuthBridge = Isthmus.of(self.site.app)[AuthBridge]
        return bridge

    @property
    def claims(self) -> dict[str, Any]:
        return dict(self.bridge.verify(self.good))

    @property
    def kid(self) -> str:
        return str(self.bridge.key.kid)

    def signed(self, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token that the server's own key has signed, with other claims; one that is None is left out."""
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        return self.raw(json.dumps(claims), headers)

    def raw(self, claims: str, headers: dict[str, Any] | None = None) -> str:
        """A token that the server's own key has signed, whatever it says."""
        members = {"alg": "ES256", "typ": "JWT", "kid": self.kid, **(headers or {})}
        header = json.dumps({name: value for name, value in members.items() if value is not None})
        return self.with_header(header, claims)

    def with_header(self, header: str, claims: str | None = None) -> str:
        """A token that the server's own key has signed, with a header as it is written."""
        private: Any = self.bridge.key.private
        payload = json.dumps(self.claims) if claims is None else claims
        signing_input = base64url_encode(header.encode()) + b"." + base64url_encode(payload.encode())
        signature = PyJWS().get_algorithm_by_name("ES256").sign(signing_input, private)
        return (signing_input + b"." + base64url_encode(signature)).decode()

    def strangers(self, **headers: Any) -> str:
        """A token that another key has signed."""
        return jwt.encode(self.claims, STRANGERS_KEY, "ES256", headers)

    def unsigned(self, algorithm: str, signature: str = "") -> str:
        header = json.dumps({"alg": algorithm, "typ": "JWT", "kid": self.kid})
        return f"{base64url_encode(header.encode()).decode()}.{self.good.split('.')[1]}.{signature}"

    def public_key_as_secret(self, encoding: Encoding, **headers: Any) -> str:
        """A token for which the published key was taken for a shared secret."""
        key: Any = self.bridge.key.public
        secret = key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        header = base64url_encode(json.dumps({"alg": "HS256", "typ": "JWT", **headers}).encode())
        signing_input = header + b"." + self.good.split(".")[1].encode()
        signature = hmac.digest(secret, signing_input, "sha256")
        return (signing_input + b"." + base64url_encode(signature)).decode()

    def tampered(self, old: str, new: str) -> str:
        """The good token with other claims under its signature."""
        header, payload, signature = self.good.split(".")
        claims = urlsafe_b64decode(payload + "==").decode()
        assert old in claims
        return f"{header}.{base64url_encode(claims.replace(old, new).encode()).decode()}.{signature}"

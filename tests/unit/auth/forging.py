"""Tokens of every make, good and bad, and a clock to read them by."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from jwt import PyJWS
from jwt.utils import base64url_encode

from auth.bridge import AuthBridge
from auth.keys.ring import KeyRing
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from config.settings import load_settings
from tests.clocks import START
from tests.clocks import WallClock

ISSUER = "https://api.example.org/auth/v1"
SECRET = "0123456789abcdef0123456789abcdef-good"

KEY = asymmetric_signing_key(generate_private_key(SECP256R1()), "ES256")
STRANGERS_KEY = asymmetric_signing_key(generate_private_key(SECP256R1()), "ES256")


def make_bridge(clock: WallClock | None = None, key: SigningKey | KeyRing = KEY, **arguments: Any) -> AuthBridge:
    settings = load_settings(None, ENVIRONMENT="testing")
    return AuthBridge(key=key, issuer=ISSUER, settings=settings, now=clock or WallClock(), **arguments)


def good_claims(**changes: Any) -> dict[str, Any]:
    """Claims that pass; a change to None takes the claim away."""
    now = int(START.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": "authenticated",
        "sub": "018f5c3e-0000-7000-8000-000000000001",
        "iat": now,
        "exp": now + 900,
        "jti": "a1",
        "role": "authenticated",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def forge(claims: Any = None, header: dict[str, Any] | str | None = None, key: SigningKey = KEY, **changes: Any) -> str:
    """A token signed properly with ``key``, whatever its header and claims say.

    :param claims: any JSON value, or bytes as they are; good ones by default.
    :param header: changes to a good header, or the whole of it as text.
    :param changes: changes to a good header by keyword.
    """
    payload = claims if isinstance(claims, bytes) else json.dumps(good_claims() if claims is None else claims).encode()
    if not isinstance(header, str):
        members = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid, **(header or {}), **changes}
        header = json.dumps({name: value for name, value in members.items() if value is not None})
    signing_input = b".".join((base64url_encode(header.encode()), base64url_encode(payload)))
    algorithm = PyJWS().get_algorithm_by_name(key.algorithm)
    signature = algorithm.sign(signing_input, algorithm.prepare_key(key.private))
    return b".".join((signing_input, base64url_encode(signature))).decode()

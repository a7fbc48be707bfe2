"""Keys and settings in the forms that Supabase and Convex need to accept this application's tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from jwt.algorithms import ECAlgorithm
from jwt.algorithms import RSAAlgorithm

from auth.bridge import AuthBridge
from auth.errors import KeyConfigurationError
from auth.keys.pem import AsymmetricKey
from auth.keys.signing import SigningKey

JWKS_PATH = "/.well-known/jwks.json"


def convex_environment(bridge: AuthBridge) -> dict[str, str]:
    """The environment variables that ``database/convex_functions/auth.config.ts`` reads, by name.

    The public keys are in a ``data:`` URI, so that the deployment does not have to fetch them; the URI does not follow
    a rotation. It contains the keys with the current key's algorithm, because Convex accepts one algorithm.

    :raises KeyConfigurationError: for ``HS256``, which Convex does not support.
    """
    current = bridge.key
    _private(current, "Convex")
    keys = [jwk for jwk in bridge.jwks()["keys"] if jwk["alg"] == current.algorithm]
    return {
        "CONVEX_JWT_ISSUER": bridge.issuer,
        "CONVEX_JWT_AUDIENCE": bridge.audience,
        "CONVEX_JWT_JWKS": data_uri({"keys": keys}),
        "CONVEX_JWT_ALGORITHM": current.algorithm,
    }


def convex_key_url(bridge: AuthBridge) -> str | None:
    """The URL from which Convex can fetch the keys, instead of the ``data:`` URI; None if the issuer is not https."""
    return jwks_url(bridge) if urlsplit(bridge.issuer).scheme == "https" else None


def jwks_url(bridge: AuthBridge) -> str:
    """The URL of the published keys, below the issuer."""
    return bridge.issuer.rstrip("/") + JWKS_PATH


def private_jwk(key: SigningKey) -> dict[str, Any]:
    """The private key as a JSON Web Key, in the form that Supabase imports. Keep it secret.

    :raises KeyConfigurationError: for ``HS256``; set its secret as the project's legacy secret instead.
    """
    private = _private(key, "a Supabase signing key")
    if isinstance(private, EllipticCurvePrivateKey):
        members = ECAlgorithm.to_jwk(private, as_dict=True)
    else:
        members = RSAAlgorithm.to_jwk(private, as_dict=True)
    return {**members, "kid": key.kid, "alg": key.algorithm, "use": "sig", "key_ops": ["sign", "verify"], "ext": True}


def data_uri(jwks: Mapping[str, Any]) -> str:
    """A JSON Web Key Set as a ``data:`` URI."""
    return f"data:application/json;base64,{base64.b64encode(json.dumps(jwks).encode()).decode()}"


def _private(key: SigningKey, reader: str) -> AsymmetricKey:
    if isinstance(key.private, bytes):
        raise KeyConfigurationError("JWT_ALGORITHM", f"HS256 cannot be used for {reader}; set it to ES256 or RS256")
    return key.private

"""The key that signs access tokens: chosen from the settings, judged, and published.

Outside production a missing key is made and a weak secret is only complained about; production refuses both.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import get_args

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm
from jwt.algorithms import HMACAlgorithm
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError
from jwt.utils import base64url_encode

from auth.errors import KeyConfigurationError
from auth.key_files import AsymmetricKey
from auth.key_files import ensure_private_key
from auth.key_files import read_private_key
from auth.key_files import readable_by_others
from config.fields import JwtAlgorithm
from config.settings import Settings

logger = logging.getLogger(__name__)

MIN_SECRET_BYTES = 32

PLACEHOLDERS = ("your-jwt-secret", "replace-with-", "secret", "changeme", "change-me")
"""Beginnings of secrets that stand in documents and examples, where everybody can read them."""

_ALGORITHMS: dict[str, JwtAlgorithm] = {name: name for name in get_args(JwtAlgorithm)}

PrivateKey = AsymmetricKey | bytes
PublicKey = EllipticCurvePublicKey | RSAPublicKey | bytes


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and the one algorithm it is used with.

    :ivar kid: the RFC 7638 thumbprint of the public key; None for a shared secret.
    :ivar private: what signs; for ``HS256`` the secret.
    :ivar public: what verifies; for ``HS256`` the same secret.
    """

    algorithm: JwtAlgorithm
    kid: str | None
    private: PrivateKey = field(repr=False)
    public: PublicKey = field(repr=False)

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set to publish; a shared secret is never in it."""
        if isinstance(self.public, bytes):
            return {"keys": []}
        members = _public_members(self.public)
        return {"keys": [{**members, "kid": self.kid, "use": "sig", "alg": self.algorithm}]}


def load_signing_key(settings: Settings, algorithm: str | None = None) -> SigningKey:
    """The key that the settings ask for.

    :param algorithm: instead of the settings' own.
    :raises KeyConfigurationError: if it is missing, unreadable, or too weak for production; says what to set.
    """
    chosen = _known(algorithm or settings.jwt_algorithm)
    if chosen == "HS256":
        if settings.jwt_secret is None:
            raise KeyConfigurationError("JWT_SECRET", "is needed for HS256; set it to 32 random bytes or more")
        return secret_signing_key(settings.jwt_secret.get_secret_value(), production=settings.production)
    if settings.jwt_private_key_file is not None:
        return _configured_key(settings.jwt_private_key_file, chosen, production=settings.production)
    if settings.production:
        raise KeyConfigurationError(
            "JWT_PRIVATE_KEY_FILE",
            "production does not make its own key; set this to a PEM file, or JWT_SECRET to use HS256",
        )
    return _instance_key(settings.instance_path / f"jwt_{chosen.lower()}.pem", chosen)


def secret_signing_key(secret: str, *, production: bool, algorithm: str | None = None) -> SigningKey:
    """A shared secret as a key for ``HS256``.

    :param production: whether weakness is refused rather than logged.
    :param algorithm: what the caller wants to use it with, to complain if that is not ``HS256``.
    :raises KeyConfigurationError: if the secret is empty, a key of another kind, or too weak for production.
    """
    if algorithm is not None and _known(algorithm) != "HS256":
        raise KeyConfigurationError("JWT_SECRET", f"is not used with {algorithm}, which needs a private key")
    try:
        material = HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError as error:
        raise KeyConfigurationError("JWT_SECRET", "must be random text, not empty and not a key file") from error
    if weakness := _weakness(secret):
        _complain("JWT_SECRET", f"{weakness}; set it to {MIN_SECRET_BYTES} random bytes or more", refuse=production)
    return SigningKey("HS256", None, material, material)


def asymmetric_signing_key(private: AsymmetricKey, algorithm: JwtAlgorithm) -> SigningKey:
    """A private key with its public half and name."""
    public = private.public_key()
    return SigningKey(algorithm, thumbprint(public), private, public)


def thumbprint(public: EllipticCurvePublicKey | RSAPublicKey) -> str:
    """The RFC 7638 name of a public key: the hash of its required members in a fixed spelling."""
    canonical = json.dumps(_public_members(public), sort_keys=True, separators=(",", ":"))
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()


def _public_members(public: EllipticCurvePublicKey | RSAPublicKey) -> dict[str, str]:
    if isinstance(public, RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
        return {name: jwk[name] for name in ("kty", "n", "e")}
    jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x", "y")}


def _known(algorithm: str) -> JwtAlgorithm:
    known = _ALGORITHMS.get(algorithm)
    if known is None:
        raise KeyConfigurationError("JWT_ALGORITHM", f"must be one of {', '.join(_ALGORITHMS)}")
    return known


def _configured_key(path: Path, algorithm: JwtAlgorithm, *, production: bool) -> SigningKey:
    key = read_private_key(path, algorithm, "JWT_PRIVATE_KEY_FILE")
    if readable_by_others(path):
        _complain("JWT_PRIVATE_KEY_FILE", f"{path} is open to other users; run chmod o-rwx on it", refuse=production)
    return asymmetric_signing_key(key, algorithm)


def _instance_key(path: Path, algorithm: JwtAlgorithm) -> SigningKey:
    ensure_private_key(path, algorithm)
    return asymmetric_signing_key(read_private_key(path, algorithm, "INSTANCE_PATH"), algorithm)


def _weakness(secret: str) -> str | None:
    if secret.lower().startswith(PLACEHOLDERS):
        return "is a well-known example"
    if len(secret.encode()) < MIN_SECRET_BYTES:
        return f"is shorter than {MIN_SECRET_BYTES} bytes"
    return None


def _complain(setting: str, advice: str, *, refuse: bool) -> None:
    if refuse:
        raise KeyConfigurationError(setting, advice)
    logger.warning("%s %s", setting, advice)

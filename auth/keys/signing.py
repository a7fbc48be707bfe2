"""A signing key: its id, its public key, and its settings.

A weak secret is an error in production and a warning elsewhere.
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
from auth.keys.pem import AsymmetricKey
from auth.keys.pem import read_private_key
from auth.keys.pem import readable_by_others
from config.fields import JwtAlgorithm
from config.settings import Settings

logger = logging.getLogger(__name__)

MIN_SECRET_BYTES = 32

PLACEHOLDERS = ("your-jwt-secret", "replace-with-", "secret", "changeme", "change-me")
"""Prefixes of secrets from documentation and examples, which are publicly known."""

_ALGORITHMS: dict[str, JwtAlgorithm] = {name: name for name in get_args(JwtAlgorithm)}

PrivateKey = AsymmetricKey | bytes
PublicKey = EllipticCurvePublicKey | RSAPublicKey | bytes


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and its only algorithm.

    :ivar kid: the RFC 7638 thumbprint of the public key; None for a shared secret.
    :ivar private: the key to sign with; the secret for ``HS256``.
    :ivar public: the key to verify with; the same secret for ``HS256``.
    """

    algorithm: JwtAlgorithm
    kid: str | None
    private: PrivateKey = field(repr=False)
    public: PublicKey = field(repr=False)

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set to publish; empty for a shared secret."""
        if isinstance(self.public, bytes):
            return {"keys": []}
        members = _public_members(self.public)
        return {"keys": [{**members, "kid": self.kid, "use": "sig", "alg": self.algorithm}]}


def configured_key(settings: Settings, algorithm: JwtAlgorithm) -> SigningKey | None:
    """The single key of the settings; None if the settings use a key ring file.

    :raises KeyConfigurationError: if the key is missing, unreadable, or too weak for production; says what to set.
    """
    if algorithm == "HS256":
        if settings.jwt_secret is None:
            raise KeyConfigurationError("JWT_SECRET", "is required for HS256; set it to 32 random bytes or more")
        return secret_signing_key(settings.jwt_secret.get_secret_value(), production=settings.production)
    if settings.jwt_private_key_file is None:
        return None
    key = read_private_key(settings.jwt_private_key_file, algorithm, "JWT_PRIVATE_KEY_FILE")
    refuse_open_file(settings.jwt_private_key_file, "JWT_PRIVATE_KEY_FILE", production=settings.production)
    return asymmetric_signing_key(key, algorithm)


def previous_secrets(settings: Settings) -> tuple[SigningKey, ...]:
    """The former shared secrets, whose tokens may still be valid.

    :raises KeyConfigurationError: if one cannot be used as a secret, or is too weak for production.
    """
    if settings.jwt_previous_secrets is None:
        return ()
    name, production = "JWT_PREVIOUS_SECRETS", settings.production
    texts = [text.strip() for text in settings.jwt_previous_secrets.get_secret_value().split(",")]
    return tuple(secret_signing_key(text, production=production, setting=name) for text in texts if text)


def secret_signing_key(
    secret: str, *, production: bool, algorithm: str | None = None, setting: str = "JWT_SECRET"
) -> SigningKey:
    """A shared secret as a key for ``HS256``.

    :param production: whether a weak secret is an error rather than a warning.
    :param algorithm: the algorithm that the caller asks for; anything except ``HS256`` is an error.
    :param setting: the setting with the secret, to name in errors.
    :raises KeyConfigurationError: if the secret is empty, a key of another kind, or too weak for production.
    """
    if algorithm is not None and known_algorithm(algorithm) != "HS256":
        raise KeyConfigurationError(setting, f"cannot be used with {algorithm}, which needs a private key")
    try:
        material = HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError as error:
        raise KeyConfigurationError(
            setting, "must be random text; it must not be empty or a key in PEM form"
        ) from error
    refuse_weak_secret(secret, setting, production=production)
    return SigningKey("HS256", None, material, material)


def asymmetric_signing_key(private: AsymmetricKey, algorithm: JwtAlgorithm) -> SigningKey:
    """A private key with its public key and id."""
    public = private.public_key()
    return SigningKey(algorithm, thumbprint(public), private, public)


def thumbprint(public: EllipticCurvePublicKey | RSAPublicKey) -> str:
    """The RFC 7638 thumbprint of a public key: the hash of its required members in canonical form."""
    canonical = json.dumps(_public_members(public), sort_keys=True, separators=(",", ":"))
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()


def _public_members(public: EllipticCurvePublicKey | RSAPublicKey) -> dict[str, str]:
    if isinstance(public, RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
        return {name: jwk[name] for name in ("kty", "n", "e")}
    jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x", "y")}


def known_algorithm(algorithm: str) -> JwtAlgorithm:
    """The algorithm with this name. :raises KeyConfigurationError: if it is not supported."""
    known = _ALGORITHMS.get(algorithm)
    if known is None:
        raise KeyConfigurationError("JWT_ALGORITHM", f"must be one of {', '.join(_ALGORITHMS)}")
    return known


def refuse_weak_secret(secret: str, setting: str, *, production: bool) -> None:
    """Reject a secret that can be guessed.

    :raises KeyConfigurationError: in production; elsewhere a warning is logged.
    """
    weakness = None
    if secret.lower().startswith(PLACEHOLDERS):
        weakness = "is a well-known example"
    elif len(secret.encode()) < MIN_SECRET_BYTES:
        weakness = f"is shorter than {MIN_SECRET_BYTES} bytes"
    if weakness:
        warn_or_raise(setting, f"{weakness}; set it to {MIN_SECRET_BYTES} random bytes or more", refuse=production)


def refuse_open_file(path: Path, setting: str, *, production: bool) -> None:
    """Reject a key file to which other users have access.

    :raises KeyConfigurationError: in production; elsewhere a warning is logged.
    """
    if readable_by_others(path):
        warn_or_raise(setting, f"{path} is open to other users; run chmod o-rwx on it", refuse=production)


def warn_or_raise(setting: str, advice: str, *, refuse: bool) -> None:
    """Log a warning about a setting or, with ``refuse``, raise :class:`~auth.errors.KeyConfigurationError`."""
    if refuse:
        raise KeyConfigurationError(setting, advice)
    logger.warning("%s %s", setting, advice)

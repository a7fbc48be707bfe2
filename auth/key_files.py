"""Private keys on disk: read with a clear complaint, made once even by workers that start together."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth.errors import KeyConfigurationError

logger = logging.getLogger(__name__)

MIN_RSA_BITS = 2048

AsymmetricKey = EllipticCurvePrivateKey | RSAPrivateKey


def read_private_key(path: Path, algorithm: str, setting: str) -> AsymmetricKey:
    """The private key of a PEM file, fit for ``algorithm``.

    :param algorithm: ``ES256`` or ``RS256``.
    :param setting: the setting to name in a complaint.
    :raises KeyConfigurationError: if the file cannot be read, is no plain private key, or does not fit.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyConfigurationError(setting, f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyConfigurationError(setting, f"{path} holds no unencrypted private key in PEM form") from error
    return _fit_for(algorithm, key, path, setting)


def _fit_for(algorithm: str, key: PrivateKeyTypes, path: Path, setting: str) -> AsymmetricKey:
    if algorithm == "ES256" and isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    if algorithm == "RS256" and isinstance(key, RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise KeyConfigurationError(setting, f"{path} holds an RSA key of less than {MIN_RSA_BITS} bits")
        return key
    wanted = "a P-256 key" if algorithm == "ES256" else "an RSA key"
    raise KeyConfigurationError(setting, f"{path} does not hold {wanted}, which JWT_ALGORITHM={algorithm} needs")


def readable_by_others(path: Path) -> bool:
    """Whether users beside the owner and the group may touch the file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO)


def ensure_private_key(path: Path, algorithm: str) -> None:
    """Make a key in ``path``, readable by its owner only, unless there is one.

    Processes that do this at the same time end up with the same key.
    """
    if not path.exists():
        key = generate_ec_key(SECP256R1()) if algorithm == "ES256" else generate_rsa_key(65537, MIN_RSA_BITS)
        _create_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _create_once(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces a key that another process has put there and signed with.
        os.link(draft, path)
        logger.info("made a signing key in %s", path)
    except FileExistsError:
        logger.info("another process made the signing key in %s first", path)
    finally:
        Path(draft).unlink()

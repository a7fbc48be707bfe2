"""Private keys on disk: errors that name the file and the setting, and atomic writes."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth.errors import KeyConfigurationError

MIN_RSA_BITS = 2048

AsymmetricKey = EllipticCurvePrivateKey | RSAPrivateKey


def read_private_key(path: Path, algorithm: str, setting: str) -> AsymmetricKey:
    """Read the private key of a PEM file for ``algorithm``.

    :param algorithm: ``ES256`` or ``RS256``.
    :param setting: the setting to name in errors.
    :raises KeyConfigurationError: if the file cannot be read, or contains no unencrypted private key for the algorithm.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise KeyConfigurationError(setting, f"cannot read {path}: {error.strerror}") from error
    return opened_private_key(pem, None, algorithm, str(path), setting)


def opened_private_key(pem: bytes, password: bytes | None, algorithm: str, source: str, setting: str) -> AsymmetricKey:
    """The private key in PEM text, for ``algorithm``.

    :param password: decrypts the key; None for an unencrypted key.
    :param algorithm: ``ES256`` or ``RS256``.
    :param source: the origin of the text, to name in errors, and ``setting`` the setting that selects it.
    :raises KeyConfigurationError: if it is not a private key for the algorithm, or has another password.
    """
    try:
        key = load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        kind = "unencrypted private key" if password is None else "private key for this password"
        raise KeyConfigurationError(setting, f"{source} contains no {kind} in PEM form") from error
    return _fit_for(algorithm, key, source, setting)


def new_private_key(algorithm: str) -> AsymmetricKey:
    """A random key for ``ES256`` or ``RS256``."""
    return generate_ec_key(SECP256R1()) if algorithm == "ES256" else generate_rsa_key(65537, MIN_RSA_BITS)


def private_pem(key: AsymmetricKey, password: bytes | None) -> bytes:
    """A private key as PKCS 8 in PEM form, encrypted with ``password`` unless it is None."""
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def readable_by_others(path: Path) -> bool:
    """Whether users other than the owner and the group have access to the file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO)


@contextmanager
def locked_for_writing(path: Path) -> Iterator[None]:
    """Lock ``path`` against writers in other processes. Readers do not wait; they see the old file or the new one.

    :raises OSError: if the lock file next to it cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A lock file of its own, because each change replaces the file itself.
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Closing is not enough: a child that was forked meanwhile has the descriptor, too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically with ``content``, flushed to disk, readable by its owner only."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fit_for(algorithm: str, key: PrivateKeyTypes, source: str, setting: str) -> AsymmetricKey:
    if algorithm == "ES256" and isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    if algorithm == "RS256" and isinstance(key, RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            advice = f"{source} contains an RSA key of less than {MIN_RSA_BITS} bits; use a longer key"
            raise KeyConfigurationError(setting, advice)
        return key
    wanted = "a P-256 key" if algorithm == "ES256" else "an RSA key"
    raise KeyConfigurationError(setting, f"{source} must contain {wanted} for {algorithm}")

"""A signing key: published under its thumbprint, refused in production if it is weak."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import derive_private_key
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.hazmat.primitives.serialization import PublicFormat
from jwt import PyJWK
from jwt.utils import from_base64url_uint

from auth.errors import KeyConfigurationError
from auth.keys.ring import load_keyring
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from auth.keys.signing import secret_signing_key
from auth.keys.signing import thumbprint
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import load_settings
from tests.unit.auth.forging import SECRET

EC_KEY = generate_ec_key(SECP256R1())
RSA_KEY = generate_rsa_key(65537, 2048)


def settings(tmp_path: Path, **overrides: object) -> Settings:
    return load_settings(None, **{"INSTANCE_PATH": tmp_path / "instance", **overrides})


def production(tmp_path: Path, **overrides: object) -> Settings:
    return settings(tmp_path, ENVIRONMENT="production", **overrides)


def write_key(path: Path, key: Any = EC_KEY, mode: int = 0o600, password: bytes | None = None) -> Path:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    path.chmod(mode)
    return path


def signing_key(wanted: Settings) -> SigningKey:
    return load_keyring(wanted).current


def refused(wanted: Settings) -> dict[str, str]:
    with pytest.raises(KeyConfigurationError) as caught:
        load_keyring(wanted)
    assert isinstance(caught.value, ConfigurationError)
    return caught.value.problems


def test_thumbprint_of_the_example_in_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
        "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
        "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    public = RSAPublicNumbers(65537, from_base64url_uint(modulus)).public_key()
    assert thumbprint(public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(("private", "algorithm"), [(EC_KEY, "ES256"), (RSA_KEY, "RS256")])
def test_published_keys_verify_and_keep_the_private_half(private: Any, algorithm: Any) -> None:
    key = asymmetric_signing_key(private, algorithm)
    [jwk] = key.jwks()["keys"]
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (key.kid, algorithm, "sig")
    assert not {"d", "p", "q", "k"} & jwk.keys()
    assert PyJWK(jwk).key.public_numbers() == private.public_key().public_numbers()


def test_short_coordinates_are_padded() -> None:
    # The x of this key begins with a zero byte; RFC 7518 wants all 32.
    keys = (derive_private_key(scalar, SECP256R1()) for scalar in range(1, 5000))
    private = next(key for key in keys if key.public_key().public_numbers().x < 1 << 248)
    [jwk] = asymmetric_signing_key(private, "ES256").jwks()["keys"]
    assert len(jwk["x"]) == len(jwk["y"]) == 43


def test_a_shared_secret_is_never_published_nor_shown() -> None:
    key = secret_signing_key(SECRET, production=True)
    assert key.jwks() == {"keys": []}
    assert key.kid is None
    assert SECRET not in repr(key)


@pytest.mark.parametrize(
    "secret",
    [
        "your-jwt-secret-key",
        "replace-with-your-secret-key",
        "your-jwt-secret",
        "secret",
        "changeme",
        "YOUR-JWT-SECRET-KEY-0123456789-0123456789",
        "x" * 31,
        "é" * 15,
    ],
)
def test_production_refuses_a_weak_secret_and_others_complain(
    tmp_path: Path, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    problems = refused(production(tmp_path, JWT_SECRET=secret))
    assert problems.keys() == {"JWT_SECRET"}
    assert secret not in problems["JWT_SECRET"].split("secret")
    with caplog.at_level(logging.WARNING):
        assert signing_key(settings(tmp_path, JWT_SECRET=secret)).algorithm == "HS256"
    assert "JWT_SECRET" in caplog.text


def test_production_takes_a_strong_secret_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert signing_key(production(tmp_path, JWT_SECRET="é" * 16)).algorithm == "HS256"
    assert not caplog.records


@pytest.mark.parametrize("open_environment", ["development", "production"])
def test_secrets_that_cannot_be_used_anywhere(tmp_path: Path, open_environment: str) -> None:
    public = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for secret in ("", public):
        with pytest.raises(KeyConfigurationError, match="JWT_SECRET"):
            secret_signing_key(secret, production=open_environment == "production")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "HS256"])
def test_production_demands_a_key(tmp_path: Path, algorithm: str) -> None:
    missing = "JWT_SECRET" if algorithm == "HS256" else "JWT_KEYRING_PASSWORD"
    assert refused(production(tmp_path, JWT_ALGORITHM=algorithm)).keys() == {missing}
    assert not (tmp_path / "instance").exists()


def test_hs256_needs_a_secret_everywhere(tmp_path: Path) -> None:
    assert refused(settings(tmp_path, JWT_ALGORITHM="HS256")).keys() == {"JWT_SECRET"}


@pytest.mark.parametrize("former", ["brief", "changeme" * 8, f"{SECRET},brief", f"brief, {SECRET}"])
def test_former_secrets_are_judged_like_the_present_one(
    tmp_path: Path, former: str, caplog: pytest.LogCaptureFixture
) -> None:
    weak = {"JWT_SECRET": SECRET, "JWT_PREVIOUS_SECRETS": former}
    problems = refused(production(tmp_path, **weak))
    assert problems.keys() == {"JWT_PREVIOUS_SECRETS"}
    assert "brief" not in problems["JWT_PREVIOUS_SECRETS"]
    with caplog.at_level(logging.WARNING):
        assert signing_key(settings(tmp_path, **weak)).algorithm == "HS256"
    assert "JWT_PREVIOUS_SECRETS" in caplog.text


def test_a_configured_key_file(tmp_path: Path) -> None:
    file = write_key(tmp_path / "key.pem")
    key = signing_key(production(tmp_path, JWT_PRIVATE_KEY_FILE=file))
    assert key.kid == thumbprint(EC_KEY.public_key())
    rsa = write_key(tmp_path / "rsa.pem", RSA_KEY, mode=0o640)
    assert signing_key(production(tmp_path, JWT_PRIVATE_KEY_FILE=rsa, JWT_ALGORITHM="RS256")).algorithm == "RS256"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_production_refuses_a_key_file_open_to_others(
    tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    file = write_key(tmp_path / "key.pem", mode=mode)
    assert "chmod" in refused(production(tmp_path, JWT_PRIVATE_KEY_FILE=file))["JWT_PRIVATE_KEY_FILE"]
    signing_key(settings(tmp_path, JWT_PRIVATE_KEY_FILE=file))
    assert "chmod" in caplog.text


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA_KEY, "ES256"),
        (EC_KEY, "RS256"),
        (generate_ec_key(SECP384R1()), "ES256"),
        (generate_rsa_key(65537, 1024), "RS256"),  # noqa: S505 - it is to be refused
    ],
)
def test_a_key_that_does_not_fit_is_refused(tmp_path: Path, key: Any, algorithm: str) -> None:
    file = write_key(tmp_path / "key.pem", key)
    problems = refused(settings(tmp_path, JWT_PRIVATE_KEY_FILE=file, JWT_ALGORITHM=algorithm))
    assert problems.keys() == {"JWT_PRIVATE_KEY_FILE"}


def test_files_that_hold_no_private_key(tmp_path: Path) -> None:
    public = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    (tmp_path / "empty.pem").write_bytes(b"")
    write_key(tmp_path / "locked.pem", password=b"open-sesame")
    for name in ("public.pem", "empty.pem", "locked.pem", "missing.pem", "."):
        problems = refused(settings(tmp_path, JWT_PRIVATE_KEY_FILE=tmp_path / name))
        assert problems.keys() == {"JWT_PRIVATE_KEY_FILE"}


def test_a_key_shows_neither_half_in_its_text() -> None:
    key = asymmetric_signing_key(EC_KEY, "ES256")
    assert repr(key) == f"SigningKey(algorithm='ES256', kid='{key.kid}')"
    assert isinstance(key, SigningKey)

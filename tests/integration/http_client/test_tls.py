"""Connections with TLS: whom they trust, and that their waits end in time as well."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from database.core.clock import monotonic
from database.core.errors import ConnectFailed
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.http import connection
from database.http.pool import HttpPool
from tests.integration.http_client.server import HOST
from tests.integration.http_client.server import PATIENCE
from tests.integration.http_client.server import RawServer
from tests.integration.http_client.server import raw
from tests.integration.http_client.server import trickling
from tests.integration.http_client.server import whole
from tests.integration.http_client.test_answers import OK
from tests.integration.http_client.test_answers import ask
from tests.integration.http_client.test_answers import failure

SOON = 0.4  # seconds


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody else has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    """A server's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The certificate is the one that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    connection._trust.cache_clear()
    yield
    connection._trust.cache_clear()


@pytest.mark.usefixtures("trusted")
def test_a_trusted_server_answers_over_one_connection(context: ssl.SSLContext) -> None:
    with RawServer(whole(b"body"), context=context) as server:
        pool = HttpPool(server.url, "it", kept=1)
        assert [ask(pool).body for _ in range(3)] == [b"body"] * 3
        pool.close()
        assert server.connections == 1


def test_a_server_that_is_not_trusted_gets_no_request(context: ssl.SSLContext) -> None:
    with RawServer(whole(b""), context=context) as server:
        pool = HttpPool(server.url, "it", kept=1)
        assert failure(lambda: ask(pool, reads=False)) is ConnectFailed
        assert server.asked == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_host_is_none(context: ssl.SSLContext) -> None:
    with RawServer(whole(b""), context=context) as server:
        pool = HttpPool(f"https://localhost:{server.port}", "it", kept=1)
        assert failure(lambda: ask(pool)) is ConnectFailed
        assert server.asked == []


@pytest.mark.usefixtures("trusted")
def test_the_deadline_is_for_the_whole_answer(context: ssl.SSLContext) -> None:
    over = Event()
    with RawServer(trickling(OK + b"\r\n" + b" " * 1000, over), context=context) as server:
        pool = HttpPool(server.url, "it", kept=1)
        begun = monotonic()
        assert failure(lambda: ask(pool, seconds=SOON)) is TimedOut
        assert failure(lambda: ask(pool, seconds=SOON, reads=False)) is OutcomeUnknown
        assert monotonic() - begun < PATIENCE / 2
        over.set()


@pytest.mark.usefixtures("trusted")
def test_an_answer_that_is_cut_off_is_lost(context: ssl.SSLContext) -> None:
    with RawServer(raw(OK + b"Content-Length: 9\r\n\r\nbody", b""), context=context) as server:
        pool = HttpPool(server.url, "it", kept=1)
        assert failure(lambda: ask(pool)) is Unavailable
        assert failure(lambda: ask(pool, reads=False)) is OutcomeUnknown


def test_a_handshake_that_is_never_answered_ends_in_time() -> None:
    with socket.create_server((HOST, 0)) as listener:
        pool = HttpPool(f"https://{HOST}:{listener.getsockname()[1]}", "it", kept=1)
        begun = monotonic()
        assert failure(lambda: ask(pool, seconds=SOON, reads=False)) is ConnectFailed
        assert monotonic() - begun < PATIENCE / 2

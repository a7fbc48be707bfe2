"""What a client makes of the answers that servers, gateways and broken networks send."""

from __future__ import annotations

import gc
import gzip
import math
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from database.backends.supabase import transport
from database.core.clock import monotonic
from database.core.errors import ConnectFailed
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.http.connection import Answer
from database.http.connection import Origin
from database.http.pool import HttpPool
from tests.integration.http_client.server import PATIENCE
from tests.integration.http_client.server import Pieces
from tests.integration.http_client.server import RawServer
from tests.integration.http_client.server import raw
from tests.integration.http_client.server import trickling
from tests.integration.http_client.server import whole
from tests.servers.network.ports import free_port

SOON = 0.4  # seconds
MOST = 10_000  # bytes
OK = b"HTTP/1.1 200 OK\r\n"
FORGED = OK + b"Content-Length: 6\r\n\r\nforged"


@pytest.fixture
def over() -> Iterator[Event]:
    """Set when the test is over, for servers that go on and on."""
    over = Event()
    yield over
    over.set()


def ask(pool: HttpPool, *, reads: bool = True, seconds: float = PATIENCE, **headers: str) -> Answer:
    return pool.request("POST", "/x?y=1", headers, b"body", deadline=monotonic() + seconds, reads=reads, most=MOST)


def failure(work: Callable[[], object]) -> type[DataError]:
    with pytest.raises(DataError) as caught:
        work()
    assert type(caught.value) is not DataError
    return type(caught.value)


def test_one_connection_serves_one_request_after_another() -> None:
    with RawServer(whole(b"first", "X-Which: 1"), whole(b"", status=503), whole(b"third")) as server:
        pool = HttpPool(server.url, "it", kept=1)
        answers = [ask(pool, Authorization="Bearer t") for _ in range(3)]
        pool.close()
        assert [(answer.status, answer.body) for answer in answers] == [(200, b"first"), (503, b""), (200, b"third")]
        assert answers[0].headers["x-which"] == "1"
        assert server.connections == 1
        head = f"POST /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer t\r\n"
        assert server.asked == [head.encode() + b"Content-Length: 4\r\n\r\nbody"] * 3


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"body", "Connection: close"),
        raw(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody"),
        raw(OK + b"\r\nbody", b""),
        raw(OK + b"Content-Length: 4\r\n\r\nbody" + FORGED),
        raw(OK + b"Content-Length: 4\r\n\r\nbody", FORGED),
        raw(OK + b"Content-Length: 4\r\n\r\nbody", b""),
    ],
    ids=["close", "HTTP/1.0", "until the end", "another answer", "another one later", "closed afterwards"],
)
def test_a_connection_that_is_over_is_not_used_again(answer: Pieces) -> None:
    with RawServer(answer, whole(b"other")) as server:
        pool = HttpPool(server.url, "it", kept=1)
        assert ask(pool).body == b"body"
        server_has_sent_all(pool)
        # Also a write: nothing was sent on the old connection that could have been lost.
        assert ask(pool, reads=False).body == b"other"
        pool.close()
        assert server.connections == 2


def server_has_sent_all(pool: HttpPool) -> None:
    """Wait until what comes behind an answer has come, if the connection was kept for it."""
    deadline = monotonic() + PATIENCE
    while any(connection.is_silent() for connection in pool._idle):
        assert monotonic() < deadline
        Event().wait(0.01)


@pytest.mark.parametrize(
    "answer",
    [
        raw(b""),
        raw(b"HTTP/1.1 200", b""),
        raw(b"HTTP/1.1 204 Done\r\nX-Which: 1\r\n", b""),
        raw(b"something else\r\n\r\n"),
        raw(b"HTTP/1.1 103 Early\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"),
        raw(OK + b"Content-Length: 9\r\n\r\nbody", b""),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", b""),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nbody\r\n"),
        raw(OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n"),
        raw(OK + b"X: y\r\n" * 200 + b"\r\n"),
    ],
    ids=[
        "none",
        "cut line",
        "cut head",
        "no HTTP",
        "interim",
        "cut",
        "cut chunks",
        "bad chunk",
        "long header",
        "many headers",
    ],
)
def test_a_broken_answer_leaves_no_doubt_of_a_read_alone(answer: Pieces) -> None:
    with RawServer(answer) as server:
        pool = HttpPool(server.url, "it", kept=1)
        assert failure(lambda: ask(pool)) is Unavailable
        assert failure(lambda: ask(pool, reads=False)) is OutcomeUnknown
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"x" * (MOST + 1)),
        raw(OK + b"Content-Length: 99999999999\r\n\r\n"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n%s\r\n" % (b"x" * 4096) * 4),
        raw(OK + b"\r\n" + b"x" * (MOST + 1)),
    ],
    ids=["length", "said", "chunks", "until the end"],
)
def test_an_answer_that_is_too_long_is_not_read(answer: Pieces) -> None:
    with RawServer(answer) as server:
        pool = HttpPool(server.url, "it", kept=1)
        assert failure(lambda: ask(pool)) is InvalidQuery
        assert failure(lambda: ask(pool, reads=False)) is OutcomeUnknown


def test_an_answer_may_be_as_long_as_is_allowed() -> None:
    chunked = raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n%s\r\n" % (b"x" * 1000) * 10 + b"0\r\n\r\n")
    with RawServer(whole(b"x" * MOST), chunked) as server:
        pool = HttpPool(server.url, "it", kept=1)
        assert [len(ask(pool).body) for _ in range(3)] == [MOST] * 3
        pool.close()
        assert server.connections == 1


def test_what_an_answer_becomes_when_it_is_decompressed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BYTES", MOST)
    bomb = gzip.compress(b" " * 100 * MOST)
    with RawServer(whole(bomb, "Content-Encoding: gzip")) as server, transport.http_client(server.url, 0) as client:
        for writes, kind in ((False, InvalidQuery), (True, OutcomeUnknown)):
            with transport.exchange(math.inf, writes=writes), pytest.raises(kind):
                client.post(server.url)


def test_the_official_client_gets_what_was_compressed() -> None:
    answer = whole(gzip.compress(b"[1]"), "Content-Encoding: gzip", "Content-Type: application/json")
    with RawServer(answer) as server, transport.http_client(server.url, 0) as client:
        with transport.exchange(math.inf, writes=False) as known:
            assert client.get(server.url).json() == [1]
        assert (known.status, known.body) == (200, b"[1]")


def test_a_redirect_leads_to_no_other_server() -> None:
    with (
        RawServer(whole(b"secret")) as other,
        RawServer(whole(b"", f"Location: {other.url}/", status=307)) as server,
        transport.http_client(server.url, 0) as client,
    ):
        with transport.exchange(math.inf, writes=True), pytest.raises(OutcomeUnknown):
            client.post(server.url, follow_redirects=True)
        assert other.connections == 0


@pytest.mark.parametrize("start", [0, 19], ids=["head", "body"])
def test_the_deadline_is_for_the_whole_answer(start: int, over: Event) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n"[:start], b"HTTP/1.1 200 OK\r\n\r\n"[start:] + b" " * 1000

    def pieces() -> Iterator[bytes]:
        yield from filter(None, answer[:1])
        yield from trickling(answer[1], over)()

    with RawServer(pieces) as server:
        pool = HttpPool(server.url, "it", kept=1)
        for reads, kind in ((True, TimedOut), (False, OutcomeUnknown)):
            begun = monotonic()
            assert failure(lambda reads=reads: ask(pool, reads=reads, seconds=SOON)) is kind  # type: ignore[misc]
            assert SOON * 0.9 <= monotonic() - begun < PATIENCE / 2
        over.set()


def test_after_the_deadline_nothing_is_sent() -> None:
    with RawServer(whole(b"")) as server:
        pool = HttpPool(server.url, "it", kept=1)
        ask(pool)
        for reads in (True, False):
            assert failure(lambda reads=reads: ask(pool, reads=reads, seconds=0)) is TimedOut  # type: ignore[misc]
        pool.close()
        assert len(server.asked) == 1


def test_who_does_not_listen_has_applied_nothing() -> None:
    pool = HttpPool(f"http://127.0.0.1:{free_port()}", "it", kept=1)
    assert failure(lambda: ask(pool)) is failure(lambda: ask(pool, reads=False)) is ConnectFailed


@pytest.mark.parametrize("value", ["a\r\nX-More: b", "a\nb", "a\rb", "a\0b", "secret \u20ac"])
def test_a_header_cannot_begin_another_one(value: str) -> None:
    with RawServer(whole(b"")) as server:
        pool = HttpPool(server.url, "it", kept=1)
        with pytest.raises(InvalidQuery) as refused:
            ask(pool, Authorization=value)
        assert value not in str(refused.value)
        for target in ("/a b", "/a\r\nX: y", "/\u20ac"):
            with pytest.raises(InvalidQuery):
                pool.request("GET", target, {}, deadline=math.inf, reads=True)
        assert server.connections == 0


def test_a_closed_pool_closes_its_connections_and_makes_new_ones() -> None:
    with RawServer(whole(b"")) as server:
        pool = HttpPool(server.url, "it", kept=1)
        ask(pool)
        pool.close()
        ask(pool)
        pool.close()
        assert server.connections == 2


def test_a_connection_in_use_is_closed_after_its_request_if_the_pool_was_closed_meanwhile() -> None:
    asked, go_on = Event(), Event()

    def slowly() -> Iterator[bytes]:
        asked.set()
        assert go_on.wait(PATIENCE)
        yield from whole(b"body")()

    with RawServer(slowly, whole(b"other")) as server, ThreadPoolExecutor(1) as threads:
        pool = HttpPool(server.url, "it", kept=1)
        answer = threads.submit(ask, pool)
        assert asked.wait(PATIENCE)
        pool.close()
        go_on.set()
        assert answer.result(PATIENCE).body == b"body"
        assert ask(pool).body == b"other"
        pool.close()
        assert server.connections == 2


def test_a_forgotten_pool_closes_its_connections() -> None:
    with RawServer(whole(b"")) as server:
        pool = HttpPool(server.url, "it", kept=1)
        ask(pool)
        (connection,) = pool._idle
        del pool
        gc.collect()
        assert connection._socket.fileno() == -1


@pytest.mark.parametrize(
    ("url", "origin", "header"),
    [
        ("http://example.org", Origin(False, "example.org", 80), "example.org"),
        ("https://example.org:443/x", Origin(True, "example.org", 443), "example.org"),
        ("https://example.org:80", Origin(True, "example.org", 80), "example.org:80"),
        ("http://[::1]:8000/", Origin(False, "::1", 8000), "[::1]:8000"),
        ("http://b\u00fccher.example", Origin(False, "xn--bcher-kva.example", 80), "xn--bcher-kva.example"),
    ],
)
def test_where_a_server_is(url: str, origin: Origin, header: str) -> None:
    assert Origin.of(url) == origin
    assert origin.header == header


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org", "http://", "http://a:b", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Origin.of(url)

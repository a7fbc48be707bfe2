"""Clients that send slowly, or do not read: they cost others nothing, and do not keep the server from ending.

``SLOW_CLIENTS_SECONDS`` makes the attack longer.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from threading import Event
from threading import Thread
from time import monotonic

import apsw

from tests.integration.http.server.streaming import ENDLESS
from tests.integration.http.server.streaming import PIECE
from tests.integration.http.server.test_server import call
from tests.integration.http.server.test_server import register
from tests.integration.http.server.test_server import serving
from tests.integration.http.support import PROBLEM
from tests.integration.http.support import TIMEOUT
from tests.integration.http.support import wait_until

CONNECTIONS = 500
SECONDS = float(os.environ.get("SLOW_CLIENTS_SECONDS", "4"))
LATEST = 1.0 if "SLOW_CLIENTS_SECONDS" in os.environ else 3.0
"""Seconds in which 99 of 100 calls are answered; beside other tests they may take longer."""
HEAD = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
UNFINISHED = (
    b"POST /auth/lo",
    HEAD + b"Content-Length: 1000\r\n\r\n" + b'{"name": ',
    HEAD + b"Content-Length: 1000\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[",
    b"GET /api/molecules HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
)


def connect(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    try:
        connection.sendall(sent)
    except OSError:
        connection.close()
        raise
    return connection


def read_all(connection: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    connection.settimeout(TIMEOUT)
    pieces = []
    while piece := connection.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


@contextmanager
def slow_clients(port: int) -> Iterator[None]:
    """Connections that are made anew when the server has closed them; each sends a byte a second."""
    ending = Event()

    def attack(numbers: range) -> None:
        clients: dict[int, socket.socket] = {}
        try:
            while not ending.wait(1.0 if clients else 0.0):
                for number in numbers:
                    try:
                        clients[number].send(b" ")
                    except KeyError:
                        clients[number] = connect(port, UNFINISHED[number % len(UNFINISHED)])
                    except OSError:
                        clients[number].close()
                        clients[number] = connect(port, UNFINISHED[number % len(UNFINISHED)])
        except OSError:
            assert ending.wait(TIMEOUT)
        finally:
            for client in clients.values():
                client.close()

    threads = [Thread(target=attack, args=(range(first, CONNECTIONS, 4),)) for first in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(TIMEOUT)


def test_500_slow_clients_cost_others_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        process, port = stack.enter_context(serving(tmp_path, BODY_TIMEOUT=3, REQUEST_TIMEOUT=5))
        user = register(port)
        stack.enter_context(slow_clients(port))
        probes: list[float] = []
        others: list[float] = []
        end = monotonic() + SECONDS
        while monotonic() < end or len(probes) < 200:
            began = monotonic()
            assert call(port, "GET", "/livez")[0] == 200
            probes.append(monotonic() - began)
            if len(probes) % 4 == 0:
                began = monotonic()
                assert call(port, "POST", "/api/molecules", {"name": "x"}, user)[0] == 201
                assert call(port, "GET", "/api/molecules?limit=1")[0] == 200
                assert call(port, "GET", "/readyz")[0] == 200
                others.append(monotonic() - began)
        assert statistics.quantiles(probes, n=100)[98] < LATEST
        assert max(others) < 3 * 5
        began = monotonic()
        process.send_signal(SIGTERM)
        assert process.wait(TIMEOUT) == 0
        assert monotonic() - began < 10


def test_what_does_not_arrive_in_time_is_ended(tmp_path: Path) -> None:
    with serving(tmp_path, BODY_TIMEOUT=0.3) as (_, port):
        for sent in UNFINISHED:
            with connect(port, sent) as client:
                head, _, body = read_all(client).partition(b"\r\n\r\n")
            if b"\r\n\r\n" in sent:
                assert head.startswith(b"HTTP/1.1 408 ")
                assert f"content-type: {PROBLEM}".encode() in head.lower()
                assert json.loads(body)["status"] == 408


def test_a_body_in_pieces_is_one_body(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, port):
        user = register(port)["Authorization"]
        pieces = [
            f"PUT /api/molecules/m HTTP/1.1\r\nHost: a\r\nAuthorization: {user}\r\nContent-Type: application/json\r\n",
            "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            *('7\r\n{"name"\r\n', "1\r\n:\r\n", '4\r\n"x"}\r\n', "0\r\n\r\n"),
        ]
        with connect(port, b"") as client:
            for piece in pieces:
                client.sendall(piece.encode())
            assert read_all(client).startswith(b"HTTP/1.1 201 ")


def test_nothing_is_kept_of_requests_that_are_over(tmp_path: Path) -> None:
    with serving(tmp_path, command=("-m", "tests.integration.http.server.streaming"), BODY_TIMEOUT=0.3) as (_, port):
        user = register(port)
        for number in range(20):
            assert call(port, "PUT", f"/api/molecules/{number}", {"name": "x"}, user)[0] == 201
        assert call(port, "GET", "/kept")[1] == {"kept": 0}
        for sent in UNFINISHED:
            with connect(port, sent) as client:
                read_all(client)
        assert call(port, "GET", "/kept")[1] == {"kept": 0}


def test_writers_that_wait_for_a_lock_leave_threads_to_readers(tmp_path: Path) -> None:
    with serving(tmp_path, THREADS=4, REQUEST_TIMEOUT=20) as (_, port):
        user = register(port)
        other_writer = apsw.Connection(str(tmp_path / "isthmus.db"))
        other_writer.execute("begin immediate")
        answers: list[int] = []
        writers = [
            Thread(target=lambda: answers.append(call(port, "POST", "/api/molecules", {"name": "x"}, user)[0]))
            for _ in range(12)
        ]
        for writer in writers:
            writer.start()
        wait_until(lambda: call(port, "GET", "/status")[1]["adapters"]["local"]["in_flight"] >= 3, "nobody waits")
        for _ in range(20):
            assert call(port, "GET", "/api/molecules")[0] == 200
        assert answers == []
        other_writer.execute("rollback")
        for writer in writers:
            writer.join(TIMEOUT)
        other_writer.close()
        assert answers == [201] * 12


def test_requests_that_get_no_thread_are_told_in_time_that_nothing_was_done(tmp_path: Path) -> None:
    with serving(tmp_path, THREADS=1, REQUEST_TIMEOUT=4) as (_, port):
        user = register(port)
        other_writer = apsw.Connection(str(tmp_path / "isthmus.db"))
        other_writer.execute("begin immediate")
        answers: list[int] = []
        writers = [
            Thread(target=lambda: answers.append(call(port, "POST", "/api/molecules", {"name": "x"}, user)[0]))
            for _ in range(4)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(TIMEOUT)
        assert answers == [503] * 4
        other_writer.execute("rollback")
        other_writer.close()
        assert call(port, "GET", "/api/molecules")[1]["data"] == []


def test_streams_take_no_thread_while_nobody_reads_them(tmp_path: Path) -> None:
    command = ("-m", "tests.integration.http.server.streaming")
    with serving(tmp_path, command=command, THREADS=1, REQUEST_TIMEOUT=2) as (process, port):
        with connect(port, b"GET /stream/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as client:
            assert read_all(client).count(b"~") == 3 * PIECE
        wait_until(lambda: call(port, "GET", "/closed")[1] == {"closed": 1}, "the stream was not closed")
        endless = f"GET /stream/{ENDLESS} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        silent = [connect(port, endless) for _ in range(4)]
        with connect(port, endless) as leaving:
            assert leaving.recv(1)
        # They are given up after ``REQUEST_TIMEOUT``, and meanwhile the only thread answers others.
        wait_until(lambda: call(port, "GET", "/closed")[1] == {"closed": 6}, "a stream was not given up")
        with ThreadPoolExecutor() as readers:
            # Not the end of an answer: it must not look whole to whoever reads on.
            whole = [readers.submit(_ends_well, client) for client in silent]
            process.send_signal(SIGTERM)
            assert process.wait(TIMEOUT) == 0
            assert [answer.result() for answer in whole] == [False] * 4
        for client in silent:
            client.close()


def test_streams_that_wait_for_news_take_no_thread(tmp_path: Path) -> None:
    command = ("-m", "tests.integration.http.server.streaming")
    with serving(tmp_path, command=command, THREADS=1) as (process, port), ExitStack() as stack:
        request = b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n"
        clients = [stack.enter_context(connect(port, request)) for _ in range(20)]
        for client in clients:
            assert b"text/event-stream" in _read_until(client, b"data: ")
        assert call(port, "GET", "/ring")[1] == {"rung": 20}
        for client in clients:
            assert _read_until(client, b"data: 20\n\n")
        with ThreadPoolExecutor() as readers:
            whole = [readers.submit(_ends_well, client) for client in clients]
            process.send_signal(SIGTERM)
            assert process.wait(TIMEOUT) == 0
            assert not any(answer.result() for answer in whole)


def _read_until(connection: socket.socket, end: bytes) -> bytes:
    connection.settimeout(TIMEOUT)
    found = b""
    while end not in found:
        piece = connection.recv(1 << 16)
        assert piece, found
        found += piece
    return found


def _ends_well(client: socket.socket) -> bool:
    try:
        return read_all(client).endswith(b"0\r\n\r\n")
    except ConnectionResetError:
        return False


def test_a_request_that_fails_in_a_thread_is_a_500(tmp_path: Path) -> None:
    command = ("-m", "tests.integration.http.server.streaming")
    with serving(tmp_path, command=command, THREADS=1) as (_, port):
        for _ in range(3):
            with connect(port, b"GET /broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as client:
                assert read_all(client).startswith(b"HTTP/1.1 500 ")
        assert call(port, "GET", "/closed")[0] == 200

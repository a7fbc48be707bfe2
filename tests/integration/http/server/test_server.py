"""``python app.py`` as a process of its own: how it starts, refuses to start, serves and stops."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import closing
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from signal import SIGKILL
from signal import SIGTERM
from threading import Thread
from typing import Any

import apsw
import pytest

from tests.integration.http.support import PASSWORD
from tests.integration.http.support import TIMEOUT
from tests.integration.http.support import wait_until
from tests.laboratory import ENVIRONMENT

ROOT = Path(__file__).parents[4]
LISTENING = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")
JSON = {"Content-Type": "application/json"}


def environment(folder: Path, **settings: object) -> dict[str, str]:
    files = {"LOCAL_DB_PATH": folder / "isthmus.db", "INSTANCE_PATH": folder, "PORT": 0, "ENVIRONMENT": "testing"}
    return {"PATH": os.defpath, **ENVIRONMENT, **{name: str(value) for name, value in {**files, **settings}.items()}}


@contextmanager
def serving(
    folder: Path, *, command: Sequence[str] = ("app.py",), **settings: object
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server's process, answering, and its port.

    :param command: what Python is to run.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment(folder, **settings), stdout=output, stderr=output
        )
    try:
        wait_until(lambda: process.poll() is not None or bool(LISTENING.search(log.read_text())), "it does not start")
        started = LISTENING.search(log.read_text())
        assert started is not None, log.read_text()
        port = int(started[1])
        wait_until(lambda: _answers(port), "the server does not answer")
        yield process, port
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def call(port: int, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {**JSON, **(headers or {})})
        with connection.getresponse() as response:
            text = response.read()
            return response.status, json.loads(text) if text else None
    finally:
        connection.close()


def _answers(port: int) -> bool:
    try:
        return call(port, "GET", "/livez")[0] == 200
    except OSError:
        return False


def _in_flight(port: int) -> int:
    """Calls that the server has at its database now."""
    number: int = call(port, "GET", "/status")[1]["adapters"]["local"]["in_flight"]
    return number


def register(port: int) -> dict[str, str]:
    status, answer = call(port, "POST", "/auth/register", {"email": "a@example.org", "password": PASSWORD})
    assert status == 201
    return {"Authorization": f"Bearer {answer['access_token']}"}


def refused(folder: Path, **settings: object) -> str:
    """What a start that is refused for its settings says."""
    command = [sys.executable, "app.py"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_wrong_settings_are_named_a_line_each(tmp_path: Path) -> None:
    lines = refused(tmp_path, PORT="abc", WORKERS=0, JWT_ALGORITHM="none").splitlines()
    assert [line.split(":")[0] for line in lines] == ["PORT", "WORKERS", "JWT_ALGORITHM"]


def test_production_refuses_to_make_its_own_key(tmp_path: Path) -> None:
    assert refused(tmp_path, ENVIRONMENT="production").startswith("JWT_KEYRING_PASSWORD: ")


def test_an_unknown_database_is_refused(tmp_path: Path) -> None:
    assert "contains unknown databases: oracle" in refused(tmp_path, DB_ADAPTER_ORDER="oracle")


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_and_stops(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, WORKERS=workers) as (process, port):
        user = register(port)
        for number in range(8):
            status, row = call(port, "POST", "/api/molecules", {"id": f"ü {number}", "name": "x"}, user)
            assert (status, row["id"]) == (201, f"ü {number}")
        assert call(port, "GET", "/api/molecules/%C3%BC%203")[0] == 200
        assert "in use" in refused(tmp_path, PORT=port)
        process.send_signal(SIGTERM)
        assert process.wait(TIMEOUT) == 0


def test_a_request_under_way_is_finished_before_it_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, port):
        user = register(port)
        answers: list[tuple[int, Any]] = []
        other_writer = apsw.Connection(str(tmp_path / "isthmus.db"))
        other_writer.execute("begin immediate")
        request = Thread(
            target=lambda: answers.append(call(port, "POST", "/api/molecules", {"id": "m", "name": "last"}, user))
        )
        request.start()
        wait_until(lambda: _in_flight(port) > 0, "the request did not reach the database")
        process.send_signal(SIGTERM)
        wait_until(lambda: not _answers(port), "the server goes on accepting requests")
        other_writer.execute("rollback")
        request.join(TIMEOUT)
        assert process.wait(TIMEOUT) == 0
        assert answers[0][0] == 201
        assert other_writer.execute("select name from molecules").fetchall() == [("last",)]
        other_writer.close()


def test_the_order_to_stop_is_heard_by_a_sleeping_process() -> None:
    # Taken by another thread, the signal does not wake the main one, just as when that is about to fall asleep.
    program = """if True:
        import signal, threading
        from api.server import serving

        serving.enter_worker()
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        order = lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        threading.Timer(0.2, order).start()
        stopped.wait()
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=TIMEOUT, check=False)
    assert done.returncode == 0


def test_no_process_is_left_when_the_server_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, port):
        call(port, "GET", "/livez")
        process.send_signal(SIGKILL)
        process.wait(TIMEOUT)
        wait_until(lambda: not _answers(port), "the server goes on accepting requests")


@pytest.mark.parametrize("keyed", [{}, {"Idempotency-Key": "k"}])
def test_a_large_body_of_unknown_length_is_refused(tmp_path: Path, keyed: dict[str, str]) -> None:
    with serving(tmp_path, MAX_BODY_BYTES=1000) as (_, port):
        headers = {**register(port), **JSON, **keyed}
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        pieces = [b'{"name": "x"}', *[b" " * 100] * 20]
        connection.request("POST", "/api/molecules", iter(pieces), headers, encode_chunked=True)
        with connection.getresponse() as response:
            assert (response.status, response.getheader("Content-Type")) == (413, "application/problem+json")
            response.read()
        connection.close()
        assert call(port, "GET", "/api/molecules")[1]["data"] == []
        assert call(port, "POST", "/api/molecules", {"name": "x"}, headers)[0] == 201


def test_values_of_stores_may_be_larger_than_other_bodies(tmp_path: Path) -> None:
    large = os.urandom(3 << 20)
    with serving(tmp_path, STORAGE_MAX_BODY_BYTES=len(large)) as (_, port):
        user = register(port)

        def sent(method: str, path: str, body: bytes | None, kind: str) -> tuple[int, bytes]:
            with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
                connection.request(method, path, body, {**user, "Content-Type": kind})
                with connection.getresponse() as response:
                    return response.status, response.read()

        def announced(method: str, path: str, size: int, kind: str) -> int:
            """The status of the answer to the headers alone: who is refused need not send the body."""
            with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
                connection.request(method, path, headers={**user, "Content-Type": kind, "Content-Length": str(size)})
                with connection.getresponse() as response:
                    return response.status

        key = "/api/storage/files/%2F..%2Fa%00b%ED%9F%BF"
        assert sent("PUT", key, large, "image/png")[0] == 201
        assert sent("GET", key, None, "image/png") == (200, large)
        assert announced("PUT", key, len(large) + 1, "image/png") == 413
        assert sent("GET", "/api/storage/files/%ff", None, "image/png")[0] == 400
        assert announced("PUT", "/api/molecules/a", len(large), "application/json") == 413
        assert announced("POST", "/api/storage/files/query", len(large), "application/json") == 413
        assert sent("HEAD", key, None, "image/png") == (200, b"")
        assert sent("HEAD", f"{key}/none", None, "image/png") == (404, b"")

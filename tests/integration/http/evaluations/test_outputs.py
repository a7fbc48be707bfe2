"""Codes and outputs as bytes, small and large, and what a deletion leaves of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from api.operations.purging import Purger
from database import Isthmus
from database import as_application
from database.core.clock import utc_now
from stores.current import RecordStores
from tests.integration.http.evaluated import PACKAGE
from tests.integration.http.evaluations.conftest import PLACE
from tests.integration.http.evaluations.conftest import Create
from tests.integration.http.server.test_server import call
from tests.integration.http.server.test_server import register
from tests.integration.http.server.test_server import serving
from tests.integration.http.support import TIMEOUT
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site

ONE = f"{PLACE}/one"
LARGE = 50 << 20


@pytest.fixture
def one(create: Create) -> Any:
    """An evaluation."""
    return create("one")


def put(site: Site, user: Headers, body: bytes, query: str = "", **headers: str) -> Any:
    """Put an output; headers have hyphens for underscores."""
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    return site.app.test_client().put(f"{ONE}/output{query}", data=body, headers={**user, **given})


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"Hello", "text/plain"),
        (b'{"a": 1}', "application/json"),
        (b"", "text/plain"),
        (b"\x89PNG\0\xff", "image/png"),
        ("é".encode() * (1 << 20), "text/plain; charset=utf-8"),
        (b"<script>alert(1)</script>", "text/html"),
    ],
)
def test_an_output_comes_back_as_it_was_put(site: Site, user: Headers, body: bytes, media_type: str) -> None:
    made = put(site, user, body, Content_Type=media_type)
    assert (made.status_code, made.json["output_size"], made.json["output_type"]) == (200, len(body), media_type)
    got = site.get(f"{ONE}/output", user)
    assert (got.data, got.headers["Content-Type"], got.content_length) == (body, media_type, len(body))
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert ("Content-Disposition" in got.headers) == (media_type == "text/html")
    assert site.get(f"{ONE}/output", {**user, "If-None-Match": got.headers["ETag"]}).status_code == 304
    head = site.call("HEAD", f"{ONE}/output", headers=user)
    assert (head.status_code, head.data, head.content_length) == (200, b"", len(body))
    assert_problem(site.get(f"{ONE}/output?kind=error", user), 404)


def test_the_whole_code_is_there(site: Site, user: Headers) -> None:
    code = "print('é')\n" * 90_000
    Isthmus.of(site.app)[RecordStores]["evaluations"].records.create("one", code)
    shown = site.get(ONE, user).json
    assert shown["code_size"] == len(code.encode())
    assert code.startswith(shown["code"])
    got = site.get(f"{ONE}/code", user)
    assert (got.data.decode(), got.headers["Content-Type"]) == (code, "text/plain; charset=utf-8")


def test_conditions_and_ends_protect_outputs(site: Site, one: Any, user: Headers) -> None:
    old = one.headers["ETag"]
    assert put(site, user, b"first", If_Match=old).status_code == 200
    assert_problem(put(site, user, b"second", If_Match=old), 412)
    assert put(site, user, b"oops", "?kind=error").json["error"] == "oops"
    site.call("PATCH", ONE, {"status": "failed"}, user)
    assert_problem(put(site, user, b"third"), 409)
    assert site.get(f"{ONE}/output", user).data == b"first"
    assert_problem(put(site, user, b"x", Content_Encoding="gzip"), 415)
    assert_problem(put(site, user, b"x", Content_Type="nonsense"), 400)


def test_what_is_too_large_or_cut_leaves_nothing(tmp_path: Path) -> None:
    site = make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE, STORAGE_MAX_OUTPUT_BYTES=2 << 20)
    user = site.register()
    site.post(PLACE, {"id": "one", "code": ""}, user)
    assert_problem(put(site, user, bytes((2 << 20) + 1)), 413)
    environ = {"CONTENT_LENGTH": str(2 << 20), "wsgi.input_terminated": True}
    sent = site.app.test_client().put(f"{ONE}/output", data=bytes(3 << 19), headers=user, environ_overrides=environ)
    assert_problem(sent, 400)
    assert (site.get(ONE, user).json["output_size"], list(files(tmp_path))) == (None, [])
    assert put(site, user, bytes(2 << 20)).status_code == 200
    site.close()


def test_what_a_crash_has_left_is_purged(site: Site, user: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluations = Isthmus.of(site.app)[RecordStores]["evaluations"].records
    evaluations.create("one", "1")
    kept = evaluations.put_output("one", "output", [b"\xff"]).output_s3_key
    assert evaluations.blobs is not None
    lost = f"{str(kept).rpartition('-')[0]}-lost/000000"
    with as_application():
        evaluations.blobs.put(lost, b"\xff", metadata={"evaluation": "one", "parts": True})
    purger = Purger(site.manager, evaluations=evaluations)
    purger.run()
    with as_application():
        # It may belong to a request that goes on.
        assert evaluations.blobs.exists(lost)
        monkeypatch.setattr(evaluations, "_clock", lambda: utc_now() + timedelta(days=2))
        purger.run()
        assert not evaluations.blobs.exists(lost)
    assert site.get(f"{ONE}/output", user).data == b"\xff"


def files(folder: Path) -> Iterator[Path]:
    """The files of outputs."""
    return (path for path in (folder / "outputs").rglob("*") if path.is_file() and ".locks" not in path.parts)


def test_50_mb_come_back_and_go_with_the_evaluation(tmp_path: Path) -> None:
    body = os.urandom(LARGE)
    with serving(tmp_path, APPLICATION_PACKAGE=PACKAGE) as (_, port):
        user = register(port)
        assert call(port, "POST", PLACE, {"id": "one", "code": "1"}, user)[0] == 201

        def sent(method: str, path: str, given: bytes | None = None) -> tuple[int, bytes]:
            with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
                connection.request(method, path, given, {**user, "Content-Type": "text/plain"})
                with connection.getresponse() as response:
                    return response.status, response.read()

        assert sent("PUT", f"{ONE}/output", body)[0] == 200
        status, got = sent("GET", f"{ONE}/output")
        assert (status, len(got), sha256(got).digest()) == (200, LARGE, sha256(body).digest())
        shown = call(port, "GET", ONE, headers=user)[1]
        assert (shown["output_size"], shown["output_truncated"]) == (LARGE, True)
        assert 0 < len(shown["output"]) <= 1024
        assert sum(path.stat().st_size for path in files(tmp_path)) >= LARGE
    site = make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE)
    site.grant("a", "admin")
    assert site.call("DELETE", ONE, headers=site.login("a")).status_code == 204
    Isthmus.of(site.app)[RecordStores]["evaluations"].records.sweep(timedelta(0))
    assert list(files(tmp_path)) == []
    site.close()

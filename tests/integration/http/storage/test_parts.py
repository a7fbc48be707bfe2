"""Bodies in parts over HTTP: they are sent while they are read, and stored while they are received."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from storage import Entry
from storage import StorageConflictError
from storage import StorageNotFoundError
from storage import StoragePermissionError
from storage import Store
from tests.integration.http.storage.conftest import MOST
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server

PLACE = "/api/storage/parts"
BODY = b"0123456789abcdef"
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
def store(parts_site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store, which reads four bytes at once."""
    monkeypatch.setattr("storage.core.streaming.PART", 4)
    with as_application():
        yield parts_site.stores["parts"]


@pytest.fixture
def send(parts_site: Site, parts_user: Headers, store: Store) -> Callable[..., Any]:
    """Puts text; further arguments are headers, with hyphens for underscores, and variables of WSGI."""

    def send(body: bytes | BytesIO, place: str = f"{PLACE}/key", environ: Any = None, **headers: str) -> Any:
        given = {**parts_user, **TEXT, **{name.replace("_", "-"): text for name, text in headers.items()}}
        content = {"data": body} if isinstance(body, bytes) else {"input_stream": body}
        return parts_site.call("PUT", place, headers=given, environ_overrides=environ, **content)

    return send


def calls(store: Store, kind: str) -> int:
    """How often S3 was asked to do this."""
    assert store.pipeline is not None
    done = store.pipeline.snapshot()["operations"].get(kind)
    return 0 if done is None else done["ok"]


class Interrupted(BytesIO):
    """A body at whose end something happens first."""

    def __init__(self, body: bytes, happen: Callable[[], object]) -> None:
        super().__init__(body)
        self._happen = happen

    def readinto(self, buffer: Any) -> int:
        read = super().readinto(buffer)
        if self.tell() == len(self.getvalue()):
            self._happen()
        return read


def test_a_body_is_received_and_sent_in_parts(
    parts_site: Site, parts_user: Headers, send: Callable[..., Any], store: Store
) -> None:
    uploads, reads, fetches = (calls(store, kind) for kind in ("upload", "read", "fetch"))
    made = send(BODY, X_Storage_Metadata='{"a": 1}', X_Storage_TTL="60")
    assert (made.status_code, made.json["size"], made.json["metadata"]) == (201, len(BODY), {"a": 1})
    got = parts_site.get(f"{PLACE}/key", parts_user)
    assert (got.data, got.content_type, got.content_length) == (BODY, "text/plain", len(BODY))
    assert (got.headers["ETag"], got.headers["Accept-Ranges"]) == (made.headers["ETag"], "bytes")
    assert (got.headers["X-Storage-Metadata"], int(got.headers["X-Storage-TTL"]) > 1) == ('{"a":1}', True)
    assert (calls(store, "upload"), calls(store, "read")) == (uploads + 1, reads + 4)
    # Before the put, and before the get.
    assert calls(store, "fetch") == fetches + 2
    known = parts_site.get(f"{PLACE}/key", {**parts_user, "If-None-Match": made.headers["ETag"]})
    assert (known.status_code, known.data, calls(store, "read")) == (304, b"", reads + 4)
    assert send(b"").status_code == 200
    assert parts_site.get(f"{PLACE}/key", parts_user).data == b""
    assert parts_site.call("PUT", f"{PLACE}/json", {"a": [1]}, parts_user).status_code == 201
    assert parts_site.get(f"{PLACE}/json", parts_user).json == {"a": [1]}


@pytest.mark.parametrize(
    ("asked", "status", "begin", "end", "parts"),
    [
        ({"Range": "bytes=0-3"}, 206, 0, 4, 1),
        ({"Range": "bytes=3-11"}, 206, 3, 12, 3),
        ({"Range": "bytes=-5"}, 206, 11, 16, 2),
        ({"Range": "bytes=12-999"}, 206, 12, 16, 1),
        ({"Range": "bytes=16-"}, 416, 0, 0, 0),
        ({"Range": "bytes=-0"}, 416, 0, 0, 0),
        ({"Range": "bytes=0-1,3-4"}, 200, 0, 16, 4),
        ({"Range": "bytes=0-3", "If-Range": '"another"'}, 200, 0, 16, 4),
    ],
)
def test_of_a_range_only_its_bytes_are_read(
    *,
    parts_site: Site,
    parts_user: Headers,
    send: Callable[..., Any],
    store: Store,
    asked: Headers,
    status: int,
    begin: int,
    end: int,
    parts: int,
) -> None:
    send(BODY)
    reads = calls(store, "read")
    got = parts_site.get(f"{PLACE}/key", {**parts_user, **asked})
    sent = got.data
    assert (got.status_code, calls(store, "read")) == (status, reads + parts)
    if status == 416:
        assert got.headers["Content-Range"] == "bytes */16"
        return
    assert (sent, got.content_length) == (BODY[begin:end], end - begin)
    assert got.headers.get("Content-Range") == (f"bytes {begin}-{end - 1}/16" if status == 206 else None)


@pytest.mark.parametrize("deleted", [False, True])
def test_a_stream_of_an_entry_that_is_gone_is_cut(
    *, parts_site: Site, parts_user: Headers, send: Callable[..., Any], store: Store, deleted: bool
) -> None:
    send(BODY)
    got = parts_site.get(f"{PLACE}/key", parts_user, buffered=False)
    pieces = got.iter_encoded()
    assert next(pieces) == BODY[:4]
    # No transaction of the request is open.
    assert parts_site.manager.adapter.pipeline.snapshot()["in_flight"] == 0
    store.delete("key") if deleted else store.put("key", BODY.upper(), media_type="text/plain")
    with pytest.raises(StorageNotFoundError if deleted else StorageConflictError):
        list(pieces)


def test_a_get_of_an_entry_that_is_replaced_before_its_first_byte_begins_again(
    parts_site: Site, parts_user: Headers, send: Callable[..., Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(BODY)
    stream = store.stream
    replaced: list[Entry] = []

    def late(key: str, *args: Any, **options: Any) -> Any:
        if not replaced:
            with as_application():
                replaced.append(store.put(key, b"another", media_type="image/png"))
        return stream(key, *args, **options)

    monkeypatch.setattr(store, "stream", late)
    got = parts_site.get(f"{PLACE}/key", parts_user)
    assert (got.data, got.content_type, got.headers["ETag"]) == (b"another", "image/png", f'"{replaced[0].etag}"')
    assert got.content_length == len(b"another")


def test_what_is_too_large_leaves_nothing(send: Callable[..., Any], store: Store, s3_server: S3Server) -> None:
    before = store.put("key", BODY).etag
    for place in (f"{PLACE}/key", f"{PLACE}/new"):
        assert_problem(send(b"", place, {"CONTENT_LENGTH": str(MOST + 1)}), 413)
    # Of an unknown length: parts of it are stored already.
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    uploads = calls(store, "upload")
    assert_problem(send(BytesIO(bytes(MOST + 1)), environ=chunked), 413)
    assert (calls(store, "upload"), list(store.keys()), store.entry("key").etag) == (uploads, ["key"], before)
    assert "Uploads" not in s3_server.client().list_multipart_uploads(Bucket=BUCKET)
    assert send(BytesIO(BODY), environ=chunked).json["size"] == len(BODY)


def test_a_body_that_ends_too_early_leaves_nothing(send: Callable[..., Any], store: Store) -> None:
    for terminated in ({}, {"wsgi.input_terminated": True}):
        assert_problem(send(BytesIO(BODY), environ={"CONTENT_LENGTH": "17", **terminated}), 400)
        assert list(store.keys()) == []
    assert send(BODY, environ={"wsgi.input_terminated": True}).status_code == 201
    assert_problem(send(BODY, Content_Encoding="gzip"), 415)


def test_conditions_hold_when_the_body_has_arrived(send: Callable[..., Any], store: Store) -> None:
    def meanwhile(**headers: str) -> Any:
        replacing = Interrupted(BODY, lambda: store.put("key", b"another"))
        return send(replacing, environ={"CONTENT_LENGTH": "16"}, **headers)

    assert_problem(send(BODY, If_Match="*"), 412)
    assert_problem(meanwhile(If_None_Match="*"), 412)
    etag = send(BODY, If_Match=f'"{store.entry("key").etag}"').headers["ETag"]
    assert_problem(send(BODY, If_None_Match="*"), 412)
    assert_problem(meanwhile(If_Match=etag), 412)
    assert store.load("key") == b"another"


def test_a_repeated_upload_has_one_effect(send: Callable[..., Any], store: Store) -> None:
    first, again = (send(BODY, Idempotency_Key="parts") for _ in range(2))
    assert (again.headers["Idempotency-Replayed"], again.json) == ("true", first.json)
    assert (store.load("key"), store.entry("key").etag) == (BODY, first.json["etag"])


def test_parts_have_the_access_rules_of_whole_bodies(
    parts_site: Site, parts_user: Headers, send: Callable[..., Any]
) -> None:
    me = parts_site.get("/auth/me", parts_user).json["id"]
    own, shown = parts_site.stores["own"], parts_site.stores["shown"]
    assert send(BODY, f"/api/storage/own/{me}/a").status_code == 201
    assert parts_site.get(f"/api/storage/own/{me}/a", parts_user).data == BODY
    assert_problem(send(BODY, "/api/storage/own/other/a"), 403, "permission-denied")
    assert_problem(send(BODY, "/api/storage/shown/a"), 403)
    with as_application():
        own.put("other/a", BODY)
        shown.put("a", BODY)
    assert_problem(parts_site.get("/api/storage/own/other/a", parts_user), 404)
    assert_problem(parts_site.get(f"/api/storage/own/{me}/a"), 401)
    with acting_as(Identity(me, "authenticated")):
        assert (own.read(f"{me}/a", 0, 2).value, shown.read("a", 0, 2).value) == (b"01", b"01")
        assert own.link(f"{me}/a").startswith("http")
        for refused in (lambda: own.read("other/a"), lambda: own.link("other/a"), lambda: own.stream("other/a")):
            with pytest.raises(StorageNotFoundError):
                refused()
        for store, key in ((own, "other/a"), (shown, "a")):
            with pytest.raises(StoragePermissionError):
                store.upload(key, [b"x"])

"""Entries over HTTP: what is put is got, in whole and in part, under conditions and for a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.http.storage.conftest import PLACE
from tests.integration.http.storage.conftest import Put
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

PAGE = b"<script>alert(document.cookie)</script>"


def test_json_is_put_and_got_on_each_database(site: Site) -> None:
    user = site.register()
    made = site.call("PUT", f"{PLACE}/notes/1", {"title": "Boiling", "$type": "mine"}, user)
    assert (made.status_code, made.headers["Location"]) == (201, f"{PLACE}/notes/1")
    got = site.get(f"{PLACE}/notes/1", user)
    assert (got.json, got.content_type) == ({"title": "Boiling", "$type": "mine"}, "application/json")
    assert got.headers["ETag"] == made.headers["ETag"] == f'"{made.json["etag"]}"'
    replaced = site.call("PUT", f"{PLACE}/notes/1", [1], user)
    assert (replaced.status_code, "Location" in replaced.headers) == (200, False)
    assert replaced.json["etag"] != made.json["etag"]
    assert site.call("DELETE", f"{PLACE}/notes/1", headers=user).status_code == 204
    assert_problem(site.get(f"{PLACE}/notes/1", user), 404, "not-found")
    assert_problem(site.call("DELETE", f"{PLACE}/notes/1", headers=user), 404, "not-found")


@pytest.mark.parametrize(
    "value", [None, 0, "", [], {}, 1.5, 2**63, 2**200, -(2**100), "é\u2028", {"$type": "object", "value": {}}, [[{}]]]
)
def test_every_json_value_comes_back(sqlite_site: Site, user: Headers, put: Put, value: Any) -> None:
    assert put("key", value).status_code == 201
    assert sqlite_site.get(f"{PLACE}/key", user).json == value
    found = sqlite_site.post(f"{PLACE}/query", {}, user).json["data"]
    assert [one["value"] for one in found] == [value]


def test_what_is_not_json_is_refused(sqlite_site: Site, user: Headers, put: Put) -> None:
    for body in (b"", b"{", b'{"a": NaN}', b'"\xff"', b"[" * 300 + b"]" * 300):
        assert_problem(put("key", body, Content_Type="application/json"), 400)
    assert_problem(put("key", b'"a"', Content_Type="application/json; charset=latin-1"), 415)
    assert_problem(put("key", b"", Content_Type="no media type"), 400, "invalid-query")
    assert_problem(put("key", b"", Content_Type="text/plain", Content_Encoding="gzip"), 415)
    assert sqlite_site.get(PLACE, user).json["data"] == []


def test_bytes_keep_their_media_type_and_run_nowhere(sqlite_site: Site, user: Headers, put: Put) -> None:
    assert put("page", PAGE, Content_Type="text/html; charset=utf-8").json["size"] == len(PAGE)
    got = sqlite_site.get(f"{PLACE}/page", user)
    assert (got.data, got.content_type) == (PAGE, "text/html; charset=utf-8")
    assert got.headers["Content-Disposition"] == "attachment"
    for answer in (got, sqlite_site.call("HEAD", f"{PLACE}/page", headers=user)):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    put("picture", b"\x89PNG", Content_Type="image/png")
    assert "Content-Disposition" not in sqlite_site.get(f"{PLACE}/picture", user).headers
    put("svg", b"<svg/>", Content_Type="image/svg+xml")
    assert sqlite_site.get(f"{PLACE}/svg", user).headers["Content-Disposition"] == "attachment"
    put("nothing", b"")
    assert sqlite_site.get(f"{PLACE}/nothing", user).content_type == "application/octet-stream"


def test_a_head_has_no_body_and_the_size(sqlite_site: Site, user: Headers, put: Put) -> None:
    etag = put("bytes", PAGE, Content_Type="text/plain").headers["ETag"]
    head = sqlite_site.call("HEAD", f"{PLACE}/bytes", headers=user)
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(PAGE)))
    assert (head.headers["ETag"], head.headers["Accept-Ranges"]) == (etag, "bytes")
    put("json", {"a": 1})
    assert sqlite_site.call("HEAD", f"{PLACE}/json", headers=user).content_type == "application/json"
    assert sqlite_site.call("HEAD", f"{PLACE}/none", headers=user).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "begin", "end"),
    [
        ("bytes=0-3", 206, 0, 4),
        ("bytes=5-", 206, 5, None),
        ("bytes=-4", 206, -4, None),
        ("bytes=5-999", 206, 5, None),
        ("bytes=999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("lines=1-2", 200, 0, None),
        ("bytes=0-1,3-4", 200, 0, None),
        ("bytes=x", 200, 0, None),
    ],
)
def test_a_range(
    sqlite_site: Site, user: Headers, put: Put, asked: str, status: int, begin: int, end: int | None
) -> None:
    put("bytes", PAGE, Content_Type="text/plain")
    got = sqlite_site.get(f"{PLACE}/bytes", {**user, "Range": asked})
    assert got.status_code == status
    if status == 416:
        assert got.headers["Content-Range"] == f"bytes */{len(PAGE)}"
    else:
        assert got.data == PAGE[begin:end]
        assert int(got.headers["Content-Length"]) == len(got.data)


def test_a_range_of_another_version_is_the_whole(sqlite_site: Site, user: Headers, put: Put) -> None:
    etag = put("bytes", PAGE, Content_Type="text/plain").headers["ETag"]
    for known, status in ((etag, 206), ('"other"', 200)):
        headers = {**user, "Range": "bytes=0-3", "If-Range": known}
        assert sqlite_site.get(f"{PLACE}/bytes", headers).status_code == status


def test_conditions(sqlite_site: Site, user: Headers, put: Put) -> None:
    assert_problem(put("key", 0, If_Match="*"), 412)
    first = put("key", 1, If_None_Match="*").headers["ETag"]
    assert_problem(put("key", 2, If_None_Match="*"), 412)
    assert_problem(put("key", 2, If_Match='"other"'), 412)
    second = put("key", 2, If_Match=f'"other", {first}').headers["ETag"]
    assert_problem(put("key", 3, If_Match=first), 412)
    assert put("key", 3, If_Match="*").status_code == 200
    assert sqlite_site.get(f"{PLACE}/key", user).json == 3
    delete = {**user, "If-Match": second}
    assert_problem(sqlite_site.call("DELETE", f"{PLACE}/key", headers=delete), 412)
    etag = sqlite_site.get(f"{PLACE}/key", user).headers["ETag"]
    assert sqlite_site.call("DELETE", f"{PLACE}/key", headers={**user, "If-Match": etag}).status_code == 204
    assert_problem(sqlite_site.call("DELETE", f"{PLACE}/key", headers={**user, "If-Match": etag}), 404)


def test_a_client_that_has_the_version_gets_no_value(sqlite_site: Site, user: Headers, put: Put) -> None:
    etag = put("key", 1).headers["ETag"]
    for method in ("GET", "HEAD"):
        known = sqlite_site.call(method, f"{PLACE}/key", headers={**user, "If-None-Match": f'"x", {etag}'})
        assert (known.status_code, known.data, known.headers["ETag"]) == (304, b"", etag)
    assert sqlite_site.get(f"{PLACE}/key", {**user, "If-None-Match": '"x"'}).json == 1


def test_metadata_and_time_to_live(sqlite_site: Site, user: Headers, put: Put) -> None:
    text = '{"tags": ["entwürfe"]}'
    made = put("key", 1, X_Storage_Metadata=text.encode().decode("latin-1"), X_Storage_TTL="60.5")
    assert made.json["metadata"] == {"tags": ["entwürfe"]}
    got = sqlite_site.get(f"{PLACE}/key", user)
    assert got.headers["X-Storage-Metadata"] == '{"tags":["entw\\u00fcrfe"]}'
    assert 1 <= int(got.headers["X-Storage-TTL"]) <= 61
    for name, wrong in [
        ("X_Storage_TTL", "soon"),
        ("X_Storage_TTL", "0"),
        ("X_Storage_TTL", "nan"),
        ("X_Storage_TTL", "inf"),
        ("X_Storage_Metadata", "{"),
        ("X_Storage_Metadata", "[]"),
        ("X_Storage_Metadata", '{"a": 1e400}'),
    ]:
        assert_problem(put("key", 2, **{name: wrong}), 400)
    assert sqlite_site.get(f"{PLACE}/key", user).json == 1


def test_values_that_are_too_large(sqlite_site: Site, user: Headers, put: Put) -> None:
    assert_problem(put("key", b"x" * (701 << 10)), 413, "too-large")
    assert_problem(put("key", b"x" * (17 << 20)), 413)
    assert put("key", b"x" * (700 << 10)).status_code == 201
    # A store may take less than its backend.
    own = sqlite_site.get("/auth/me", user).json["id"]
    large = sqlite_site.call("PUT", f"/api/storage/own/{own}/a", "x" * 1_000, user)
    assert_problem(large, 413, "too-large")


def test_a_repeated_request_has_one_effect(put: Put) -> None:
    first = put("key", 1, Idempotency_Key="once")
    again = put("key", 1, Idempotency_Key="once")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.json, again.headers["ETag"]) == (first.json, first.headers["ETag"])
    assert_problem(put("key", 2, Idempotency_Key="once"), 422)

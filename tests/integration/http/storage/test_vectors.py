"""Vectors over HTTP: entries are put with them and found by their similarity."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.http.storage.conftest import PLACE
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

WRONG = {
    "fewer numbers": "[1, 0]",
    "more numbers": "[1, 0, 0, 0]",
    "too many numbers": f"[{', '.join(['0.5'] * 20_000)}]",
    "none": "[]",
    "no direction": "[0, 0, 0]",
    "NaN": "[NaN, 0, 1]",
    "infinity": "[1e999, 0, 1]",
    "an integer of any size": f"[{10**400}, 0, 1]",
    "text": '["1", 0, 1]',
    "a truth value": "[true, 0, 1]",
    "null": "[null, 0, 1]",
    "a matrix": "[[1, 0, 0]]",
    "a deep one": "[" * 200 + "]" * 200,
    "no list": '{"0": 1}',
    "a number": "1",
    "no JSON": "1, 0, 0",
}


def put(site: Site, user: Headers, key: str, vector: str | None, **more: Any) -> Any:
    headers = user if vector is None else {**user, "X-Storage-Vector": vector}
    return site.call("PUT", f"{PLACE}/{key}", headers=headers, **({"json": key} | more))


def search(site: Site, user: Headers, **asked: Any) -> list[tuple[str, float]]:
    found = site.post(f"{PLACE}/search", asked, user)
    assert found.status_code == 200, found.text
    return [(entry["key"], entry["score"]) for entry in found.json["data"]]


def test_the_most_similar_entries_are_found(parts_site: Site, parts_user: Headers) -> None:
    assert put(parts_site, parts_user, "a", "[1, 0, 0]").status_code == 201
    put(parts_site, parts_user, "b", "[3, 4.0, 0]", json={"even": True})
    put(parts_site, parts_user, "c", "[-1e300, 0, 0]")
    put(parts_site, parts_user, "d", "[0, 0, 2]", json=None, data=b"\0\1", content_type="image/png")
    put(parts_site, parts_user, "e", None)
    assert search(parts_site, parts_user, vector=[2, 0, 0]) == [("a", 1.0), ("b", 0.6), ("d", 0.0), ("c", -1.0)]
    assert search(parts_site, parts_user, vector=[2, 0, 0], limit=1) == [("a", 1.0)]
    assert search(parts_site, parts_user, vector=[2, 0, 0], filters={"data.even": True}) == [("b", 0.6)]
    (found,) = parts_site.post(f"{PLACE}/search", {"vector": [0, 0, 1], "limit": 1}, parts_user).json["data"]
    assert (found["key"], found["value"], found["media_type"]) == ("d", "AAE=", "image/png")
    # Another value without a vector has none.
    assert put(parts_site, parts_user, "a", None).status_code == 200
    assert [key for key, _ in search(parts_site, parts_user, vector=[1, 0, 0])] == ["b", "d", "c"]


@pytest.mark.parametrize("vector", WRONG.values(), ids=WRONG)
def test_what_is_no_vector_of_the_store_is_refused(parts_site: Site, parts_user: Headers, vector: str) -> None:
    etag = put(parts_site, parts_user, "key", "[1, 0, 0]").headers["ETag"]
    assert_problem(put(parts_site, parts_user, "key", vector), 400, "invalid-query")
    assert parts_site.get(f"{PLACE}/key", parts_user).headers["ETag"] == etag
    body = {"data": f'{{"vector": {vector}}}', "content_type": "application/json"}
    assert_problem(parts_site.call("POST", f"{PLACE}/search", headers=parts_user, **body), 400)


def test_a_store_without_vectors_takes_none(parts_site: Site, parts_user: Headers) -> None:
    for store in ("plain", "parts"):
        place, headers = f"/api/storage/{store}", {**parts_user, "X-Storage-Vector": "[1, 0, 0]"}
        assert_problem(parts_site.post(f"{place}/search", {"vector": [1, 0, 0]}, parts_user), 400, "unsupported")
        for content in ({"json": 1}, {"data": b"x", "content_type": "image/png"}):
            assert_problem(parts_site.call("PUT", f"{place}/key", headers=headers, **content), 400, "unsupported")
        assert parts_site.get(place, parts_user).json["data"] == []


def test_callers_find_their_own_entries_only(parts_site: Site) -> None:
    users = [parts_site.register(name) for name in ("searches", "searches-too")]
    ids = [parts_site.get("/auth/me", user).json["id"] for user in users]
    for user, id_ in zip(users, ids, strict=True):
        for name, vector in (("near", "[1, 0, 0]"), ("far/off", "[0, 1, 0]")):
            headers = {**user, "X-Storage-Vector": vector}
            assert parts_site.call("PUT", f"/api/storage/mine/{id_}/{name}", headers=headers, json=1).status_code == 201

    def keys(user: Headers, **asked: Any) -> list[str]:
        found = parts_site.post("/api/storage/mine/search", {"vector": [1, 0, 0], **asked}, user)
        assert found.status_code == 200, found.text
        return [entry["key"] for entry in found.json["data"]]

    for user, id_, other in zip(users, ids, reversed(ids), strict=True):
        assert keys(user) == [f"{id_}/near", f"{id_}/far/off"]
        assert keys(user, prefix=f"{id_}/far") == [f"{id_}/far/off"]
        assert keys(user, prefix=f"{other}/") == keys(user, prefix="x") == []
    assert_problem(parts_site.post("/api/storage/mine/search", {"vector": [1, 0, 0], "prefix": 1}, users[0]), 400)

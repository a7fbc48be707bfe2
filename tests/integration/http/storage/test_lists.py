"""Keys of any characters in URLs, and lists, queries and searches."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.integration.http.storage.conftest import PLACE
from tests.integration.http.storage.conftest import Put
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

KEYS = [
    *("a/b", "a//b", "/a", "a/", "//", "../../etc/passwd", ".", "..", "a\0b", "a\nb", " ", "%", "%2F", "?", "#", "a:b"),
    *(
        "a_b",
        "A",
        "é",
        "e\u0301",
        "*",
        "\ufffd",
        "\U0001f642",
        "query",
        "search",
        "x" * 2_000,
        "~0",
        "a;b=c",
        "\\",
        '"',
    ),
]


@pytest.fixture
def filled(put: Put) -> list[str]:
    for key in KEYS:
        assert put(quote(key, safe=""), key).status_code == 201, key
    return sorted(KEYS)


def test_hostile_keys_are_kept_apart_and_found_again(sqlite_site: Site, user: Headers, filled: list[str]) -> None:
    listed = sqlite_site.get(f"{PLACE}?limit=1000", user).json
    assert ([entry["key"] for entry in listed["data"]], listed["next_cursor"]) == (filled, None)
    for key in filled:
        assert sqlite_site.get(f"{PLACE}/{quote(key, safe='')}", user).json == key
    assert sqlite_site.call("DELETE", f"{PLACE}/a%2Fb", headers=user).status_code == 204
    assert sqlite_site.get(f"{PLACE}/a//b", user).json == "a//b"


def test_a_key_that_is_no_utf_8_is_refused(sqlite_site: Site, user: Headers) -> None:
    raw = {"PATH_INFO": f"{PLACE}/\xff"}
    assert_problem(sqlite_site.get(PLACE, user, environ_overrides=raw), 400, "invalid-query")
    assert_problem(sqlite_site.get(f"{PLACE}/{'x' * 10_001}", user), 400, "invalid-query")
    assert_problem(sqlite_site.get(f"{PLACE}/", user), 404)


def test_pages(sqlite_site: Site, user: Headers, put: Put) -> None:
    for number in range(7):
        put(f"n{number}", number)
    put("other", 0)
    got, more = [], ""
    while True:
        page = sqlite_site.get(f"{PLACE}?prefix=n&limit=3{more}", user).json
        got.append([entry["key"] for entry in page["data"]])
        if page["next_cursor"] is None:
            break
        more = f"&cursor={page['next_cursor']}"
    assert got == [["n0", "n1", "n2"], ["n3", "n4", "n5"], ["n6"]]
    for wrong in ("limit=0", "limit=1001", "limit=x", "offset=1", "prefix=a&prefix=b"):
        assert_problem(sqlite_site.get(f"{PLACE}?{wrong}", user), 400, "invalid-query")


def test_queries(sqlite_site: Site, user: Headers, put: Put) -> None:
    for number in range(6):
        put(f"n{number}", {"number": number, "even": number % 2 == 0}, X_Storage_Metadata=f'{{"third": {number // 2}}}')
    put("bytes", b"\0\1")

    def keys(**asked: object) -> tuple[list[str], str | None]:
        answer = sqlite_site.post(f"{PLACE}/query", asked, user).json
        return [entry["key"] for entry in answer["data"]], answer["next_cursor"]

    assert keys(filters={"data.even": True}) == (["n0", "n2", "n4"], None)
    assert keys(filters={"metadata.third": 1, "even": False}) == (["n3"], None)
    assert keys(filters={"data.even": True}, limit=2) == (["n0", "n2"], "n2")
    assert keys(filters={"data.even": True}, limit=2, cursor="n2") == (["n4"], None)
    assert keys(prefix="b") == (["bytes"], None)
    (found,) = sqlite_site.post(f"{PLACE}/query", {"prefix": "b"}, user).json["data"]
    assert (found["value"], found["media_type"]) == ("AAE=", "application/octet-stream")
    wrongs: list[object] = [{"limit": 0}, {"limit": "x"}, {"filters": []}, {"filters": {"": 1}}, {"where": {}}]
    for wrong in (*wrongs, {"prefix": 1}, {"cursor": 1}, []):
        assert_problem(sqlite_site.post(f"{PLACE}/query", wrong, user), 400)


def test_a_page_of_large_entries_is_shorter(sqlite_site: Site, user: Headers, put: Put) -> None:
    for number in range(14):
        put(f"n{number:02}", b"x" * (700 << 10))
    first = sqlite_site.post(f"{PLACE}/query", {}, user).json
    assert len(first["data"]) == 12
    rest = sqlite_site.post(f"{PLACE}/query", {"cursor": first["next_cursor"]}, user).json
    assert ([entry["key"] for entry in rest["data"]], rest["next_cursor"]) == (["n12", "n13"], None)

"""Hostile input at every route with every method: refused as a problem, never a failure, and nothing changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from tests.integration.http.support import PROBLEM
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import add_roles

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")

# Raw, as they stand in the request's line.
SEGMENTS = (
    "",
    ".",
    "..",
    "%2E%2E",
    "%2F",
    "a%2Fb",
    "..%2F..%2Fetc%2Fpasswd",
    "%00",
    "a%00b",
    "%0D%0AX-Evil:1",
    "%FF%FE",
    "%ED%A0%80",
    "%25",
    "%25_%5C",
    "*",
    quote("' or '1'='1"),
    quote('"; drop table molecules; --'),
    quote("$(id)`id`{{7*7}}%s%n"),
    quote("ü€😀e\u0301\u202e"),
    "9" * 400,
    "x" * 10_000,
    "isthmus_users",
    "molecules",
)

QUERIES = (
    "id=eq.' or 1=1 --",
    "name=like.%25_%5C%5C",
    "name=like.%5C",
    "id=in.(" + "a," * 5000 + "a)",
    "or=" + "(and" * 200 + "()" + ")" * 200,
    "select=*,id;drop table molecules",
    "order=id;select 1",
    "limit=1e3",
    "cursor=" + "A" * 5000,
    "%00=%00",
    "select",
    "&&==&",
    "x" * 10_000,
    "password_hash=is.null",
    "__proto__=eq.1&constructor=eq.1",
)

BODIES: tuple[tuple[bytes, str], ...] = (
    (b"", "application/json"),
    (b"", ""),
    (b"\x00\xff\xfe", "application/json"),
    (b"x" * 10_000_000, "application/json"),
    (b"[" * 50_000, "application/json"),
    (b'{"a":' * 5000, "application/json"),
    (b"null", "application/json"),
    (b"-1", "application/json"),
    (b'"text"', "application/json"),
    (b"[[]]", "application/json"),
    (b'[{"name": "x"}, null]', "application/json"),
    (b'{"name": {"$ne": null}}', "application/json"),
    (b'{"name": "nul\\u0000", "email": "nul\\u0000", "password": "nul\\u0000nul"}', "application/json"),
    (b'{"name": 1e999}', "application/json"),
    (b'{"name": "x", "version": 1}', "application/json"),
    (b'{"name": "x", "x\'; drop table molecules; --": 1}', "application/json"),
    (b'{"name": "x", "__proto__": {"role": "admin"}}', "application/json"),
    (b'{"name": "x", "role": "admin", "email": "a@example.org", "password": "12345678"}', "application/json"),
    (b"<xml/>", "application/xml"),
    (b"name=x", "application/x-www-form-urlencoded"),
    (b"--b\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b"),
)


class Target:
    """A site with one molecule, and what it must still hold after every attack."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.admin = site.admin()
        site.call("PUT", "/api/molecules/kept", {"name": "kept", "formula": "H2O"}, self.admin)
        self.before = site.dump()

    def attack(self, method: str, path: str, headers: Headers | None = None, body: bytes = b"", kind: str = "") -> int:
        """Send one request, check the form of its answer, and return its status."""
        sent = {**self.admin, **(headers or {}), "Content-Type": kind}
        # The path as it is, without what the client would make of it.
        answer: Any = self.site.app.test_client().open(
            method=method, headers=sent, data=body, environ_overrides=_environ(path)
        )
        assert answer.status_code < 500, (method, path[:80], answer.text)
        if answer.status_code >= 400:
            assert answer.content_type == PROBLEM, (method, path[:80])
            assert method == "HEAD" or answer.json["status"] == answer.status_code
        # A redirect would be to an address that the caller chose.
        assert not 300 <= answer.status_code < 400 or answer.status_code == 304, (method, path[:80])
        assert "X-Evil" not in answer.headers
        return int(answer.status_code)

    def assert_unchanged(self) -> None:
        assert self.site.dump() == self.before

    def assert_changed_only_by(self, status: int) -> None:
        """Check that a request which was refused changed nothing; one that was not may have."""
        if status >= 400:
            self.assert_unchanged()
        self.before = self.site.dump()

    @property
    def routes(self) -> list[str]:
        return sorted({rule.rule for rule in self.site.app.url_map.iter_rules()})


@pytest.fixture(scope="module", params=["sqlite", "supabase"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with ExitStack() as stack:
        options = {}
        if request.param == "supabase":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            database = stack.enter_context(server.database())
            add_roles(database)
            options = supabase_settings(database)
        site = make_site(folder, **options)
        stack.callback(site.close)
        yield Target(site)


def _environ(path: str) -> dict[str, Any]:
    """What a server makes of the path in a request's line."""
    raw, _, query = path.partition("?")
    decoded = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), raw.encode())
    return {"PATH_INFO": decoded.decode("latin-1"), "QUERY_STRING": query.encode().decode("latin-1")}


def _filled(route: str, table: str, value: str) -> str:
    """The route with ``table`` for its table and ``value`` for what else it has."""
    return re.sub(r"<[^>]*>", lambda _: value, route.replace("<table>", table))


def test_every_route_is_reached(target: Target) -> None:
    assert {"/api/<table>", "/api/<table>/<record_id>", "/auth/login", "/status", "/metrics"} <= set(target.routes)


def test_paths(target: Target) -> None:
    for route in target.routes:
        for segment in SEGMENTS:
            for method in METHODS:
                target.attack(method, _filled(route, "molecules", segment))
                target.attack(method, _filled(route, segment, "kept" if method != "DELETE" else "none"))
    target.assert_unchanged()


def test_queries(target: Target) -> None:
    for route in target.routes:
        for query in QUERIES:
            for method in METHODS:
                status = target.attack(method, f"{_filled(route, 'molecules', 'kept')}?{query}")
                if method in {"GET", "HEAD"} and route.startswith("/api/<table>"):
                    assert status in {200, 400}, query
    target.assert_unchanged()


def test_bodies(target: Target) -> None:
    for route in target.routes:
        for (body, kind), method in product(BODIES, METHODS):
            value = "kept" if method != "DELETE" else "none"
            status = target.attack(method, _filled(route, "molecules", value), body=body, kind=kind)
            assert status >= 400 or method in {"GET", "HEAD", "OPTIONS"}, (method, route, body[:60])
    target.assert_unchanged()


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "Idempotency-Key", "Accept", "Cookie", "Range", "Host"])
@pytest.mark.parametrize("value", ["", '"', "x" * 10_000, "W/", '"1", ' * 500, "%00", "';--", "\x7f"])
def test_headers(target: Target, name: str, value: str) -> None:
    for method, route in (
        ("GET", "/api/molecules"),
        ("PATCH", "/api/molecules/none"),
        ("DELETE", "/api/molecules/none"),
    ):
        target.attack(method, route, {name: value}, b'{"name": "x"}', "application/json")
    target.assert_unchanged()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "name", "formula", "properties", "email"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=8,
)
OPERATORS = st.sampled_from(["eq", "not.eq", "in", "is", "like", "ilike", "cs", "gt", "not", ""])
NAMES = st.sampled_from(
    ["id", "name", "version", "properties", "created_at", "or", "not.and", "select", "order", "limit"]
)
fuzzed = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@fuzzed
@given(
    parameters=st.lists(
        st.tuples(
            NAMES | st.text(max_size=8),
            st.builds("{}.{}".format, OPERATORS, st.text(max_size=20)) | st.text('()",.\\aeinoqrt1', max_size=40),
        ),
        max_size=4,
    )
)
def test_any_query_string(target: Target, parameters: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote(name, errors='replace')}={quote(text, errors='replace')}" for name, text in parameters)
    assert target.attack("GET", f"/api/molecules?{query}") in {200, 400}


@fuzzed
@given(body=JSON)
def test_any_body(target: Target, body: Any) -> None:
    for method, path in (("POST", "/api/molecules"), ("PATCH", "/api/molecules/none"), ("POST", "/auth/login")):
        # Everything that JSON of any kind might say, NaN and lone surrogates with it.
        text = json.dumps(body).encode()
        target.assert_changed_only_by(target.attack(method, path, body=text, kind="application/json"))


@fuzzed
@given(body=st.binary(max_size=200))
def test_any_bytes(target: Target, body: bytes) -> None:
    for path in ("/api/molecules", "/auth/register"):
        target.assert_changed_only_by(target.attack("POST", path, body=body, kind="application/json"))

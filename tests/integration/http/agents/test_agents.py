"""Agents over HTTP: states, tasks, conversations and transactions, and who may read, write and delete them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from config.settings import ConfigurationError
from storage import StorageConfigurationError
from stores import RecordStoreDeclaration
from stores import current_agents
from tests.contract.backends import supabase_database
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings

PACKAGE = "tests.integration.http.agents.laboratory"
PLACES = ["/api/agents/a/states/s", "/api/agents/a/tasks/t"]
SERIES = ["/api/conversations/c", "/api/cases/c/transactions"]


@pytest.fixture(scope="module", params=["sqlite", "supabase"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The application on SQLite, and on a Supabase project's database."""
    folder = tmp_path_factory.mktemp("agents")
    if request.param == "sqlite":
        yield from _made(folder)
        return
    server = request.getfixturevalue("postgres_server")
    database = supabase_database(server)
    yield from _made(folder, **supabase_settings(database))
    server.drop_database(database)


def _made(folder: Path, **settings: object) -> Iterator[Site]:
    made = make_site(folder, APPLICATION_PACKAGE=PACKAGE, **settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def user(site: Site) -> Headers:
    return site.register()


@pytest.fixture(scope="module")
def admin(site: Site) -> Headers:
    return site.admin()


def statuses(site: Site, headers: Headers | None) -> list[list[int]]:
    """Of writing, reading and deleting, at each place."""
    return [
        [
            site.call("PUT" if place in PLACES else "POST", place, {"a": 1}, headers).status_code,
            site.get(place, headers).status_code,
            site.call("DELETE", place, headers=headers).status_code,
        ]
        for place in (*PLACES, *SERIES)
    ]


def test_who_is_signed_in_reads_and_writes_and_admins_delete(site: Site, user: Headers, admin: Headers) -> None:
    assert statuses(site, None) == [[401, 401, 401]] * 4
    assert statuses(site, user) == [[201, 200, 403]] * 4
    assert statuses(site, admin) == [[200, 200, 204]] * 2 + [[201, 200, 204]] * 2
    for place in PLACES:
        assert_problem(site.get(place, user), 404, "not-found")
    for place in (*PLACES, *SERIES):
        assert_problem(site.call("DELETE", place, headers=admin), 404, "not-found")


@pytest.mark.parametrize("place", PLACES)
def test_a_state_is_put_got_and_kept_from_lost_updates(site: Site, user: Headers, admin: Headers, place: str) -> None:
    value = {"z": 1, "a": [1.0, None, "\u00e9\0"], "$type": "mine", "large": 2**80}
    made = site.call("PUT", place, value, user)
    assert (made.status_code, made.json, made.headers["Location"]) == (201, value, place)
    got = site.get(place, user)
    assert (got.json, got.headers["ETag"]) == (value, made.headers["ETag"])
    tag = {"If-None-Match": got.headers["ETag"]}
    assert site.get(place, user | tag).status_code == 304
    assert site.call("HEAD", place, headers=user).status_code == 200
    changed = site.call("PUT", place, {"z": 2}, user | {"If-Match": got.headers["ETag"]})
    assert (changed.status_code, "Location" in changed.headers) == (200, False)
    for condition in ({"If-Match": got.headers["ETag"]}, {"If-None-Match": "*"}):
        assert_problem(site.call("PUT", place, {"z": 3}, user | condition), 412)
    assert_problem(site.call("DELETE", place, headers=admin | {"If-Match": got.headers["ETag"]}), 412)
    assert site.get(place, user).json == {"z": 2}
    assert site.call("DELETE", place, headers=admin | {"If-Match": changed.headers["ETag"]}).status_code == 204


@pytest.mark.parametrize("place", SERIES)
def test_a_series_comes_in_pages(site: Site, user: Headers, admin: Headers, place: str) -> None:
    for number in range(5):
        message = {"number": number, "large": 2**80}
        assert site.post(place, message, user).json in (message, {"data": [message]})
    found: list[Any] = []
    query = "limit=2"
    while query:
        page = site.get(f"{place}?{query}", user).json
        found += [one["number"] for one in page["data"]]
        query = page["next_cursor"] and f"limit=2&cursor={page['next_cursor']}"
    assert found == [*range(5)]
    assert site.get(f"{place}?limit=5", user).json["next_cursor"] is None
    for wrong in ("limit=0", "limit=1001", "cursor=x", "limit=1&limit=2", "prefix=a"):
        assert_problem(site.get(f"{place}?{wrong}", user), 400, "invalid-query")
    assert site.call("DELETE", place, headers=admin).status_code == 204
    assert site.get(place, user).json == {"data": [], "next_cursor": None}


def test_transactions_of_a_list_are_all_stored_or_none(site: Site, user: Headers) -> None:
    place = "/api/cases/all/transactions"
    problem = assert_problem(site.post(place, [{"id": 1}, 2], user), 400, "invalid-query")
    assert "transactions[1] must be a dict" in problem["detail"]
    assert_problem(site.post(place, [{}] * 1001, user), 400)
    assert site.get(place, user).json["data"] == []
    stored = [{"id": 1, "sum": "2"}, {"sum": 3}]
    answer = site.post(place, [{"id": 1}, *stored], user)
    assert (answer.status_code, answer.json) == (201, {"data": stored})
    assert site.get(place, user).json["data"] == stored
    assert site.post(place, [], user).json == {"data": []}


def test_a_repeated_request_adds_one_message(site: Site, user: Headers) -> None:
    once = user | {"Idempotency-Key": "once"}
    first, again = (site.post("/api/conversations/once", {"text": "hello"}, once) for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["Idempotency-Replayed"]) == (201, 201, "true")
    assert site.get("/api/conversations/once", user).json["data"] == [{"text": "hello"}]


@pytest.mark.parametrize(
    "name", ["a b", "a/b", "~", "~1", "\u00e9", "?", "#", "%2F", "'; drop table x", "\\", "a\n", "x" * 255]
)
def test_ids_of_all_kinds_are_in_the_path(site: Site, user: Headers, name: str) -> None:
    part = quote(name.replace("~", "~0").replace("/", "~1"), safe="")
    made = site.call("PUT", f"/api/agents/{part}/states/{part}", {"name": name}, user)
    assert site.get(made.headers["Location"], user).json == {"name": name}
    with site.app.test_request_context():
        assert current_agents().get_state(name, name) == {"name": name}


def test_what_is_wrong_is_said(site: Site, user: Headers) -> None:
    for place in PLACES:
        assert_problem(site.call("PUT", place, [1], user), 400)
        assert_problem(site.call("PUT", f"{place}?a=1", {}, user), 400, "invalid-query")
        assert_problem(site.call("PUT", f"{place}{'x' * 256}", {}, user), 400, "invalid-query")
        assert_problem(site.get(place, user, environ_overrides={"PATH_INFO": f"{place}\xff"}), 400, "invalid-query")
    assert_problem(site.get("/api/agent_states", user), 404, "not-found")
    assert_problem(site.get("/api/transactions/1", user), 404, "not-found")


def test_a_request_that_fails_has_saved_nothing(site: Site, user: Headers) -> None:
    assert site.post("/failing", {}, user).status_code == 409
    assert site.get("/api/agents/failing/states/s", user).status_code == 404
    assert site.get("/api/conversations/failing", user).json["data"] == []


@pytest.mark.parametrize(
    ("declared", "module", "reason"),
    [
        ({"agents": RecordStoreDeclaration()}, "tests.laboratory.config", r"stores.declare_agents\(metadata\)"),
        ({"agents": RecordStoreDeclaration(access={"read": "owner"})}, PACKAGE, "have no owners"),
        ({"agents": RecordStoreDeclaration(access={"reads": "user"})}, PACKAGE, "keys read, write and delete"),
        ({"agents": RecordStoreDeclaration(blobs="default")}, PACKAGE, "has no blobs, which only evaluations have"),
        ({"agents": RecordStoreDeclaration(general="default")}, PACKAGE, "has no general, which only experiments have"),
    ],
)
def test_a_wrong_declaration_is_named_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any], module: str, reason: str
) -> None:
    monkeypatch.setattr(f"{module}.stores.RECORD_STORES", declared, raising=False)
    with pytest.raises(ConfigurationError, match=reason):
        make_site(tmp_path, APPLICATION_PACKAGE=module)


def test_without_a_declaration_there_are_no_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{PACKAGE}.stores.RECORD_STORES", {})
    (site,) = made = [make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE)]
    assert site.get(PLACES[0]).status_code == 404
    with site.app.test_request_context(), pytest.raises(StorageConfigurationError, match="RECORD_STORES"):
        current_agents()
    for one in made:
        one.close()

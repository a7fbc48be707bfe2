"""Who may do what with a store: over HTTP, and in the code of a request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.settings import ConfigurationError
from config.settings import load_settings
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import CallerMissing
from storage import Encryption
from storage import StorageConflictError
from storage import StoragePermissionError
from storage import Store
from storage import StoreDeclaration
from storage import Stores
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

ADA = Identity("ada", "authenticated")
TILDE = Identity("ada/~", "authenticated")


def statuses(site: Site, place: str, headers: Headers | None) -> list[int]:
    """Of putting, getting, asking for the head, listing, querying and deleting."""
    calls = [("PUT", place), ("GET", place), ("HEAD", place), ("GET", place.rpartition("/")[0])]
    calls += [("POST", f"{place.rpartition('/')[0]}/query"), ("DELETE", place)]
    return [site.call(method, path, {} if method[0] == "P" else None, headers).status_code for method, path in calls]


def test_the_default_store_is_for_who_is_signed_in(sqlite_site: Site, user: Headers) -> None:
    assert statuses(sqlite_site, "/api/storage/default/a", None) == [401] * 6
    assert statuses(sqlite_site, "/api/storage/default/a", user) == [201, 200, 200, 200, 200, 204]


def test_roles(sqlite_site: Site, user: Headers) -> None:
    sqlite_site.register("ed")
    sqlite_site.grant("ed", "editor")
    assert statuses(sqlite_site, "/api/storage/public/a", None) == [401, 404, 404, 200, 200, 401]
    assert statuses(sqlite_site, "/api/storage/public/a", user) == [403, 404, 404, 200, 200, 403]
    assert statuses(sqlite_site, "/api/storage/public/a", sqlite_site.login("ed")) == [201, 200, 200, 200, 200, 204]


def test_a_closed_store_does_not_show_that_it_exists(sqlite_site: Site, user: Headers) -> None:
    for store in ("closed", "none", "x" * 200):
        assert statuses(sqlite_site, f"/api/storage/{store}/a", user) == [404] * 6
    closed = assert_problem(sqlite_site.get("/api/storage/closed", user), 404, "not-found")
    unknown = assert_problem(sqlite_site.get("/api/storage/none", user), 404, "not-found")
    assert closed["detail"].replace("closed", "none") == unknown["detail"]


def test_owners_have_the_keys_that_begin_with_their_id(sqlite_site: Site, user: Headers) -> None:
    other = sqlite_site.register("other")
    me, them = (sqlite_site.get("/auth/me", headers).json["id"] for headers in (user, other))
    assert statuses(sqlite_site, f"/api/storage/own/{me}/a/b", user)[:3] == [201, 200, 200]
    for place in (f"/api/storage/own/{me}/a", f"/api/storage/own/{me}", "/api/storage/own/a"):
        assert_problem(sqlite_site.call("PUT", place, 1, other), 403, "permission-denied")
        assert_problem(sqlite_site.get(place, other), 404)
        assert_problem(sqlite_site.call("DELETE", place, headers=other), 404)
    sqlite_site.call("PUT", f"/api/storage/own/{me}/a", 1, user)
    sqlite_site.call("PUT", f"/api/storage/own/{them}/a", 2, other)
    for headers, own in ((user, me), (other, them)):
        listed = sqlite_site.get("/api/storage/own", headers).json["data"]
        assert [entry["key"] for entry in listed] == [f"{own}/a"]
    assert sqlite_site.get(f"/api/storage/own?prefix={them}", user).json["data"] == []
    sqlite_site.grant("other", "staff")
    assert len(sqlite_site.get("/api/storage/own", sqlite_site.login("other")).json["data"]) == 2


@pytest.fixture
def own() -> Iterator[Store]:
    settings = load_settings(None, ENVIRONMENT="testing")
    manager = ConnectionManager(settings, {"main": MemoryAdapter()})
    yield Stores({"own": StoreDeclaration(access="owner")}, settings, manager)["own"]
    manager.disconnect()


def test_the_rules_hold_for_the_code_of_a_request(own: Store) -> None:
    with pytest.raises(CallerMissing):
        own.get("ada/a")
    with acting_as(ANONYMOUS), pytest.raises(StoragePermissionError, match="owner"):
        own.get("ada/a")
    with as_application():
        own.put_many({"ada/a": 1, "ada~1~0/a": 2, "bob/a": 3, "adam/a": 4})
    with acting_as(ADA):
        assert [list(own.keys(prefix)) for prefix in ("", "ada", "ada/a", "b", "ada/b")] == [
            *([["ada/a"]] * 3),
            *([[]] * 2),
        ]
        assert [entry.value for entry in own.find({"key": "bob/a"})] == []
        assert [entry.key for entry in own.find({})] == ["ada/a"]
        assert (own.get("bob/a"), own.head("adam/a"), own.delete("bob/a")) == (None, None, False)
        etag = own.put("ada/b", 1).etag
        with pytest.raises(StorageConflictError):
            own.delete("bob/a", expected=etag)
        for key in ("bob/b", "ada", "b"):
            with pytest.raises(StoragePermissionError, match="own id"):
                own.put(key, 1)
        with pytest.raises(StoragePermissionError):
            own.put_many({"ada/c": 1, "bob/c": 1})
        assert own.get("ada/c") is None
        assert own.clear("bob") == 0
        assert own.clear() == 2
    with acting_as(TILDE):
        assert list(own.keys()) == ["ada~1~0/a"]
    with as_application():
        assert list(own.keys()) == ["adam/a", "ada~1~0/a", "bob/a"]


@pytest.mark.parametrize(
    ("name", "declaration", "reason"),
    [
        ("Photos", StoreDeclaration(), "lower case"),
        ("a/b", StoreDeclaration(), "lower case"),
        ("a", StoreDeclaration(access={"reads": "user"}), "keys read, write and delete"),
        ("a", StoreDeclaration(access={"read": "users:"}), "read access of store 'a' must be anyone"),
        (
            "a",
            StoreDeclaration(layers=lambda setup: [Encryption(setup.encryption_keys())]),
            "STORAGE_KEYS: must be set",
        ),
    ],
)
def test_a_wrong_declaration_is_named_at_the_start(name: str, declaration: StoreDeclaration, reason: str) -> None:
    settings = load_settings(None, ENVIRONMENT="testing")
    with pytest.raises(ConfigurationError, match=reason):
        Stores({name: declaration}, settings, MemoryAdapter())

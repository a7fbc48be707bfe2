"""Stores as parts of the application: its requests, its purges, its status, and its browsers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.operations.purging import Purger
from api.storage import routes
from config.settings import ConfigurationError
from config.settings import load_settings
from database.core.context import as_application
from database.core.tables.schema import Schema
from storage import StorageConfigurationError
from storage import current_store
from storage.stack import DEFAULT_STORES
from storage.stack import stores_in
from tests.integration.http.storage.conftest import PLACE
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site
from tests.integration.migrated import migrated_sqlite


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """An application to which a test adds a view."""
    migrated_sqlite(tmp_path / "isthmus.db")
    site = make_site(tmp_path)
    yield site
    site.close()


def test_a_put_in_a_request_that_is_answered_400_leaves_nothing(own_site: Site) -> None:
    @own_site.app.post("/keep/<int:status>")
    def keep(status: int) -> tuple[str, int]:
        current_store().put(f"key {status}", status)
        assert current_store().load(f"key {status}") == status
        return "", status

    user = own_site.register()
    assert [own_site.post(f"/keep/{status}", {}, user).status_code for status in (400, 200, 500)] == [400, 200, 500]
    assert [entry["key"] for entry in own_site.get(PLACE, user).json["data"]] == ["key 200"]
    # Everything in a request has the rights of its caller.
    assert_problem(own_site.post("/keep/200", {}), 403, "permission-denied")


def test_expired_entries_of_the_database_are_purged(sqlite_site: Site) -> None:
    stores = sqlite_site.stores
    with as_application():
        for name in ("default", "files"):
            stores[name].put("kept", 1, ttl=3600)
            stores[name].put("past", 1, ttl=3600)
        past = {"expires_at": datetime.now(UTC) - timedelta(hours=1)}
        sqlite_site.manager.table("isthmus_entries").update(past).eq("key", "past").execute()
        Purger(sqlite_site.manager, stores=stores).run()
        kept = sqlite_site.manager.table("isthmus_entries").select("key", "store").execute().rows
    assert kept == [{"key": "kept", "store": "default"}]


def test_the_status_shows_the_stores_and_their_places_to_administrators(sqlite_site: Site, user: Headers) -> None:
    sqlite_site.get("/api/storage/files/a", user)
    shown = sqlite_site.get("/status").json["stores"]
    assert set(shown) == {"default", "own", "public", "closed", "files"}
    assert shown["default"] == {"type": "table", "layers": [], "durable": True, "largest": 700 << 10}
    assert shown["own"]["largest"] == 1_000
    assert shown["files"]["circuit_state"] == "closed"
    assert shown["files"]["operations"]["fetch"]["ok"] == 1
    administrator = sqlite_site.get("/status", sqlite_site.admin()).json["stores"]
    assert administrator["files"]["place"]["folder"].endswith("files")
    metrics = sqlite_site.get("/metrics").text
    assert 'isthmus_operations_total{adapter="store:files",operation="fetch",outcome="ok"} 1.0' in metrics


def test_cookies_need_the_csrf_token(sqlite_site: Site) -> None:
    sqlite_site.register("browser")
    client = sqlite_site.app.test_client()
    body = {"email": "browser@example.org", "password": PASSWORD, "cookies": True}
    token = client.post("/auth/login", json=body).get_json()["csrf_token"]
    assert_problem(client.put(f"{PLACE}/a", json=1), 403)
    assert client.put(f"{PLACE}/a", json=1, headers={"X-CSRF-Token": token}).status_code == 201
    assert client.get(f"{PLACE}/a").json == 1


def test_an_unknown_store_is_named_with_those_that_there_are(sqlite_site: Site) -> None:
    with sqlite_site.app.app_context(), pytest.raises(StorageConfigurationError, match=r"'none'; .* default, own"):
        current_store("none")


def test_an_application_without_the_module_has_the_default_store() -> None:
    assert stores_in("tests.laboratory") is DEFAULT_STORES
    with pytest.raises(ConfigurationError, match=r"no_such_package\.stores"):
        stores_in("no_such_package")


@pytest.mark.parametrize("declared", [None, ["default"], {"default": "table"}])
def test_what_is_no_declaration_is_refused(declared: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.laboratory.config.stores.STORES", declared)
    with pytest.raises(ConfigurationError, match="STORES must be a dict of names to StoreDeclaration"):
        stores_in("tests.laboratory.config")


def test_a_table_that_the_routes_would_hide_is_refused(sqlite_site: Site) -> None:
    metadata = sa.MetaData()
    columns = sa.Column("id", sa.Text, primary_key=True), sa.Column("a", sa.Text)
    sa.Table("storage", metadata, *columns, info={"access": {"read": "user"}})
    with pytest.raises(ConfigurationError, match="table storage: has the routes of the stores"):
        routes.init_app(sqlite_site.app, sqlite_site.stores, Schema.of(metadata))


@pytest.mark.parametrize("text", ["secret", "secret=", "=c2VjcmV0", "a=c2VjcmV0", f"a={'A' * 43}=,a={'A' * 43}="])
def test_keys_that_are_none_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(ConfigurationError, match="STORAGE_KEYS: has a wrong part") as caught:
        load_settings(None, STORAGE_KEYS=text)
    assert text not in str(caught.value)

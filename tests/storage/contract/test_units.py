"""A store in the application's database joins its transactions and the units of work of its requests."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from config.settings import load_settings
from database import flask_scope
from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.context import SERVICE
from storage.core.errors import StorageConflictError
from storage.core.store import Store
from tests.storage.contract.places import Place


class _UndoneError(Exception):
    pass


def test_it_joins_if_it_is_declared_to(store: Store, place: Place) -> None:
    assert store.capabilities.joins is (place.database is not None)


def values(store: Store) -> dict[str, Any]:
    return {entry.key: entry.value for entry in store.find({})}


def change_and_fail(store: Store, database: DatabaseAdapter) -> None:
    with database.transaction():
        store.put("old", "after")
        store.put("new", 1, if_absent=True)
        store.put_many({"a": 1, "b": 2})
        assert store.delete("deleted")
        # It reads what it has written.
        assert (store.load("old"), store.get("deleted"), store.load("new")) == ("after", None, 1)
        assert list(store.keys()) == ["a", "b", "new", "old"]
        assert [entry.value for entry in store.find({"data": 2})] == [2]
        raise _UndoneError


def test_what_is_rolled_back_leaves_nothing(store: Store, place: Place) -> None:
    if place.database is None:
        return
    store.put("old", "before")
    store.put("deleted", "before")
    with pytest.raises(_UndoneError):
        change_and_fail(store, place.database)
    assert values(store) == {"deleted": "before", "old": "before"}


def test_what_is_committed_is_kept(store: Store, place: Place) -> None:
    if place.database is None:
        return
    etag = store.put("old", "before").etag
    with place.database.transaction():
        changed = store.put("old", "after", expected=etag)
        store.put("old", "at last", expected=changed.etag)
        with pytest.raises(StorageConflictError):
            store.put("old", "never", expected=etag)
        store.put("new", 1, if_absent=True)
        with pytest.raises(StorageConflictError):
            store.put("new", 2, if_absent=True)
        assert store.delete("new")
        store.put("new", 3, if_absent=True)
    assert values(store) == {"new": 3, "old": "at last"}


def test_a_request_that_is_answered_400_leaves_nothing(store: Store, place: Place) -> None:
    if place.database is None:
        return
    app = Flask(__name__)
    flask_scope.init_app(
        app, ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": place.database}), caller=SERVICE
    )

    @app.post("/<int:status>")
    def keep(status: int) -> tuple[str, int]:
        store.put(f"key {status}", status)
        assert store.load(f"key {status}") == status
        return "", status

    client = app.test_client()
    assert [client.post(f"/{status}").status_code for status in (400, 200, 409)] == [400, 200, 409]
    assert list(store.keys()) == ["key 200"]

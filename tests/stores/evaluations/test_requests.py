"""Evaluations in the request of an application: one transaction, with the rights of the application."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask import request

from config.settings import ConfigurationError
from config.settings import load_settings
from database import flask_scope
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import PermissionDenied
from database.core.tables.schema import Schema
from storage.backends.file.backend import FileEntries
from storage.core.store import Store
from stores import Evaluations
from stores import EvaluationsInTables
from stores import FlexibleStorageManager
from stores import InMemoryStorage
from tests.stores.evaluations.places import METADATA
from tests.stores.evaluations.places import SCHEMA
from tests.stores.evaluations.places import create_sqlite

LARGE = "x" * 2_000_000


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ConnectionManager]:
    create_sqlite(tmp_path / "app.db")
    adapter = SQLiteAdapter({"path": str(tmp_path / "app.db")}, SCHEMA)
    made = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"local": adapter}, SCHEMA)
    yield made
    made.disconnect()


def test_a_request_that_fails_leaves_nothing_behind(manager: ConnectionManager, tmp_path: Path) -> None:
    blobs = Store(FileEntries(tmp_path / "outputs"))
    evaluations = Evaluations(EvaluationsInTables(manager), blobs)
    app = Flask("evaluating")
    flask_scope.init_app(app, manager)

    @app.post("/<id_>")
    def evaluate(id_: str) -> tuple[dict[str, Any], int]:
        with acting_as(Identity("ada", "authenticated")):
            evaluations.create(id_, LARGE)
            evaluations.update(id_, status="completed", output=LARGE)
            found = evaluations.get(id_)
            assert found is not None
            assert (found.status, len(evaluations.events(id_))) == ("completed", 2)
            return {}, int(request.args["status"])

    client = app.test_client()
    assert client.post("/failed?status=400").status_code == 400
    assert (evaluations.get("failed"), blobs.count()) == (None, 0)
    assert client.post("/done?status=201").status_code == 201
    assert (evaluations.count(), blobs.count()) == (1, 2)
    # What callers may do is decided by the routes; the tables themselves are closed to them.
    with acting_as(Identity("ada", "authenticated")), pytest.raises(PermissionDenied):
        manager.table("evaluations").execute()
    assert evaluations.delete("done")
    assert blobs.count() == 0


def test_a_cache_has_nothing_of_a_request_that_is_rolled_back(manager: ConnectionManager) -> None:
    storage = FlexibleStorageManager(manager, None, InMemoryStorage())
    storage.create_evaluation("a", "1")
    app = Flask("evaluating")
    flask_scope.init_app(app, manager)

    @app.post("/")
    def evaluate() -> tuple[dict[str, Any], int]:
        with acting_as(Identity("ada", "authenticated")):
            storage.update_evaluation("a", status="running")
            storage.create_evaluation("b", "1")
            assert storage.get_evaluation("a")["status"] == "running"
            return {}, 400

    assert app.test_client().post("/").status_code == 400
    assert storage.get_evaluation("a")["status"] == "queued"
    assert storage.get_evaluation("b") is None


def test_tables_that_are_not_declared_are_named() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"needs the tables evaluations, evaluation_events, evaluation_metrics .*declare_evaluations",
    ):
        EvaluationsInTables(MemoryAdapter(schema=Schema([])))
    assert EvaluationsInTables(MemoryAdapter(schema=Schema.of(METADATA))).inline == 1 << 20

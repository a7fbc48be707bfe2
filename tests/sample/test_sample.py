"""The sample application that the project comes with, as its own tables, migrations and Convex functions make it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import tables
from database import as_application
from database.backends.sqlite import SQLiteAdapter
from database.declared import DEFAULT_PACKAGE
from database.declared import schema_in
from database.schema import convex_schema
from database.schema.migrations import runner
from stores import DatabaseClient
from stores import Evaluations
from stores import EvaluationsInTables
from tests.integration.http.support import Site
from tests.integration.http.support import make_site

SCHEMA = schema_in(DEFAULT_PACKAGE)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path, APPLICATION_PACKAGE=DEFAULT_PACKAGE)
    yield made
    made.close()


def test_the_migrations_make_the_declared_tables(tmp_path: Path) -> None:
    adapter = SQLiteAdapter({"path": str(tmp_path / "sample.db")}, SCHEMA)
    assert runner.upgrade(adapter)[-5:] == ["sample1", "sample2", "sample3", "sample4", "sample5"]
    assert runner.check(adapter) == []
    adapter.disconnect()


def test_the_convex_functions_are_those_of_the_declared_tables() -> None:
    assert convex_schema.stale(SCHEMA) == []


def test_the_tables_are_served_as_they_say(site: Site) -> None:
    ada, bob = site.register("ada"), site.register("bob")
    assert site.post("/api/molecules", {"name": "Water", "formula": "H2O"}).status_code == 401
    water = site.post("/api/molecules", {"name": "Water", "formula": "H2O"}, ada).json
    experiment = {"name": "Boiling", "molecule_id": water["id"]}
    assert site.post("/api/experiments", experiment, ada).status_code == 201
    assert site.post("/api/experiments", {"name": "No", "molecule_id": "none"}, ada).status_code == 409
    assert site.post("/api/protocols", {"name": "Boil", "steps": ["heat"]}, ada).status_code == 201
    assert [row["name"] for row in site.get("/api/molecules?formula=eq.H2O").json["data"]] == ["Water"]
    assert site.post("/api/notes", {"title": "hers"}, ada).status_code == 201
    assert [len(site.get("/api/notes", who).json["data"]) for who in (ada, bob)] == [1, 0]
    assert site.call("DELETE", f"/api/molecules/{water['id']}", headers=ada).status_code == 403
    run = {"run_id": "r", "system_name": "search", "algorithm_name": "mab"}
    assert site.post("/api/convergence/storage/runs", run, ada).json["success"] is True
    assert site.get("/api/convergence/storage/runs/r", bob).json["data"] == {**run, "status": "started"}
    assert {table.name for table in tables.metadata.sorted_tables} <= site.dump().keys()


@pytest.mark.parametrize(("records", "elsewhere"), [("agents", "sqlite:///{}/agents.db"), ("evaluations", "{}/files")])
def test_records_are_copied_to_another_place_and_back(site: Site, tmp_path: Path, records: str, elsewhere: str) -> None:
    runner.upgrade(site.manager.adapter)
    with as_application():
        DatabaseClient(site.manager).save_state("agent", "state", {"n": 1})
        Evaluations(EvaluationsInTables(site.manager)).create("eval", "1")
    there = elsewhere.format(tmp_path)
    for source, target, moved in (("application", there, 1), (there, "application", 0)):
        words = ["storage", "migrate", "--records", records, "--json", source, target]
        done = site.app.test_cli_runner().invoke(args=words)
        assert done.exit_code == 0, done.output
        found = json.loads(done.output)
        assert (found["moved"], found["seen"], found["left"]) == (moved, 1, {})

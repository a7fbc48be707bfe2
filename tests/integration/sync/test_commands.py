"""``flask sync``."""

from __future__ import annotations

from pathlib import Path

import orjson
from flask import Flask

from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.extension import Isthmus
from storage import Store
from storage import TableEntries
from tests.integration.sync.support import application
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert


def databases(app: Flask) -> tuple[DatabaseAdapter, DatabaseAdapter]:
    first, second = Isthmus.of(app).manager.adapters.values()
    return first, second


def test_one_cycle_runs_and_says_what_it_did(app: Flask) -> None:
    local, memory = databases(app)
    insert(local, "a", name="ours")
    insert(memory, "a", name="theirs")
    insert(memory, "b")
    done = app.test_cli_runner().invoke(args=["sync", "run", "--once"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0].startswith("molecules: compared ")
    assert "copied_to_first 2, copied_to_second 1, deleted 0, conflicts 1, failures 0\n" in done.output
    assert done.output.endswith("first is local, second is memory\n")
    assert [row["name"] for row in contents(local)["molecules"]] == ["ours", "b"]
    assert contents(local) == contents(memory)


def test_the_entries_of_the_stores_are_synced_unless_the_tables_are_named(app: Flask, tmp_path: Path) -> None:
    databases(app)[0].disconnect()
    app = application(tmp_path, "local,memory", CONVEX_SYNC_TABLES="")
    local, memory = databases(app)
    etag = Store(TableEntries(local)).put("a", 1).etag
    Store(TableEntries(memory)).put("b", 2)
    done = app.test_cli_runner().invoke(args=["sync", "run", "--once"])
    assert done.exit_code == 0, done.output
    assert "isthmus_entries: compared 2, copied_to_first 1, copied_to_second 1," in done.output
    assert Store(TableEntries(memory)).entry("a").etag == etag
    audited = app.test_cli_runner().invoke(args=["sync", "audit", "--table", "isthmus_entries"])
    assert audited.exit_code == 0, audited.output
    local.disconnect()


def test_a_cycle_tells_its_progress_and_its_status_as_json(app: Flask) -> None:
    for number in range(3):
        insert(databases(app)[0], f"{number}")
    done = app.test_cli_runner().invoke(args=["sync", "run", "--once", "--json"])
    assert done.exit_code == 0, done.output
    told = orjson.loads(done.stdout)
    assert told["complete"]
    assert told["tables"]["molecules"]["copied_to_second"] == 3


def test_a_record_that_cannot_be_written_is_a_failure(app: Flask) -> None:
    local, memory = databases(app)
    insert(local, "p", "protocols")
    insert(local, "e", "experiments", protocol_id="p")
    done = app.test_cli_runner().invoke(args=["sync", "run", "--once"])
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        (
            "experiments e: ConstraintViolated: experiments.protocol_id refers to a record of protocols that does not "
            "exist"
        ),
        "Error: Some records could not be written; see the lines above.",
    ]
    shown = app.test_cli_runner().invoke(args=["sync", "status"])
    assert shown.stderr == done.stderr.splitlines(keepends=True)[0]
    assert [row["id"] for row in contents(memory)["experiments"]] == []


def test_the_status_is_what_both_databases_remember(app: Flask) -> None:
    local, memory = databases(app)
    cli = app.test_cli_runner()
    never = "local:memory: never synced, or a side was restored; the next cycle compares everything\n"
    assert cli.invoke(args=["sync", "status"]).output.startswith(never)
    insert(local, "a", name="ours")
    insert(memory, "a", name="theirs")
    insert(memory, "b")
    assert cli.invoke(args=["sync", "run", "--once"]).exit_code == 0
    first, *others = cli.invoke(args=["sync", "status"]).output.splitlines()
    assert first.startswith("local:memory: following the change feed; last progress ")
    assert others == ["local: 2 synced records, 1 resolved conflicts", "memory: 1 synced records, 0 resolved conflicts"]


def test_one_database_cannot_be_synced(tmp_path: Path) -> None:
    app = application(tmp_path, "memory")
    done = app.test_cli_runner().invoke(args=["sync", "run", "--once"])
    ConnectionManager.set_instance(None)
    assert done.exit_code == 1
    assert done.stderr == "Error: DB_ADAPTER_ORDER must name at least two databases.\n"

"""``flask sync audit``, and what `/status` says of a sync that runs."""

from __future__ import annotations

import json
from typing import Any

from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from database.sync import SyncManager
from database.sync.checkpoint import Checkpoints
from tests.integration.sync.support import insert
from tests.integration.sync.test_commands import databases


def run(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=["sync", *args])


def manager_of(app: Flask) -> SyncManager:
    return SyncManager(*databases(app), sync_tables=["molecules", "experiments"])


def test_the_exit_status_says_whether_the_sides_are_equal(app: Flask) -> None:
    local, memory = databases(app)
    insert(local, "a")
    assert run(app, "run", "--once").exit_code == 0
    good = run(app, "audit")
    assert (good.exit_code, good.output.splitlines()[-1]) == (
        0,
        "first is local, second is memory; all records are equal",
    )
    insert(memory, "b")
    waiting = run(app, "audit", "--patience", "0")
    assert waiting.exit_code == 1
    assert waiting.output.endswith("1 records differ, whose changes wait for the next cycle of sync\n")
    checkpoints = Checkpoints(manager_of(app).pair)
    checkpoints.advance(checkpoints.load(), checkpoints.ends())
    bad = run(app, "audit", "--table", "molecules", "--json")
    assert bad.exit_code == 1
    told = json.loads(bad.output)
    assert told["differences"] == [{"table": "molecules", "id": "b", "kind": "missing_on_first"}]
    assert (told["equal"], told["complete"], told["tables"]["molecules"]["compared"]) == (False, True, 2)
    shown = run(app, "audit")
    assert "  molecules b: missing_on_first\n" in shown.output
    assert shown.output.endswith("1 records differ\n")
    mended = run(app, "audit", "--repair")
    assert mended.exit_code == 0, mended.output
    assert run(app, "audit").exit_code == 0


def test_a_limited_audit_goes_on(app: Flask) -> None:
    for name in "abc":
        insert(databases(app)[0], name)
    assert run(app, "run", "--once").exit_code == 0
    first = run(app, "audit", "--limit", "2")
    assert (first.exit_code, first.output.splitlines()[-1].split("; ", 1)[1]) == (
        0,
        "equal so far; the next run goes on",
    )
    assert json.loads(run(app, "audit", "--json").output)["resumed"] is True


def test_an_unknown_table_is_refused(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["sync", "audit", "--table", "protocols"])
    assert done.exit_code == 2
    assert "table 'protocols' is not synced; use one of molecules, experiments" in done.stderr


def syncs(client: FlaskClient) -> Any:
    return json.loads(client.get("/status").data)["sync"]


def test_the_status_shows_syncs_that_run(app: Flask) -> None:
    client = app.test_client()
    assert syncs(client) == []
    manager = SyncManager(*databases(app), audit_rows=10, sync_interval=3600)
    with manager:
        (shown,) = syncs(client)
        assert shown["sides"] == {"first": "local", "second": "memory"}
        assert set(shown["audit"]) >= {"compared", "different", "last"}
    assert syncs(client) == []

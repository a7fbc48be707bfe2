"""``flask sync conflicts``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import Result
from flask import Flask

from database.connection_manager import ConnectionManager
from database.extension import Isthmus
from tests.integration.sync.support import application
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.test_commands import databases


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """The application on an SQLite file and memory, with a conflict that waits and one that was resolved."""
    app = application(tmp_path, "local,memory", CONVEX_CONFLICT_RESOLUTION="First_Wins, experiments=MANUAL")
    assert app.test_client().get("/api/molecules").status_code == 200
    local, memory = databases(app)
    for adapter, name in ((local, "ours"), (memory, "theirs")):
        insert(adapter, "a", name=name, formula="H2O")
        insert(adapter, "e", "experiments", name=name, results={"secret": name})
    done = run(app, "run", "--once")
    assert done.exit_code == 0, done.output
    yield app
    Isthmus.of(app).manager.disconnect()
    ConnectionManager.set_instance(None)


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["sync", *arguments])


def test_the_open_ones_are_listed_first_without_their_values(app: Flask) -> None:
    waiting, resolved = run(app, "conflicts").output.splitlines()
    assert waiting.endswith("  experiments e: both sides have changed the record")
    assert resolved.endswith("  molecules a: resolved by first_wins")
    assert "ours" not in waiting + resolved
    assert run(app, "conflicts", "--limit", "1").output.splitlines() == [waiting]
    assert run(app, "conflicts", "--open").output.splitlines() == [waiting]
    assert run(app, "conflicts", "--table", "molecules").output.splitlines() == [resolved]
    objects = [orjson.loads(line) for line in run(app, "conflicts", "--json").output.splitlines()]
    assert [one["state"] for one in objects] == ["open", "resolved"]
    assert objects[1]["result"]["name"] == "ours"


def test_a_conflict_is_shown_column_by_column(app: Flask) -> None:
    waiting, resolved = (line.split()[0] for line in run(app, "conflicts").output.splitlines())
    shown = run(app, "conflicts", "show", waiting).output.splitlines()
    assert shown[0].startswith("experiments e, ")
    assert shown[1] == "open: both sides have changed the record"
    rows = {line.split()[0]: line.split()[1:] for line in shown[2:]}
    assert rows["column"] == ["agreed", "first", "(local)", "second", "(memory)"]
    assert rows["name"] == ["(no", "row)", '"ours"', '"theirs"']
    assert '"theirs"' not in run(app, "conflicts", "show", resolved).output.splitlines()[-1]
    assert orjson.loads(run(app, "conflicts", "show", resolved, "--json").output)["second"]["name"] == "theirs"
    missing = run(app, "conflicts", "show", "nothing")
    assert (missing.exit_code, "has no conflict 'nothing'" in missing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("take", "name"), [("first", "ours"), ("second", "theirs"), ('{"name": "both", "results": null}', "both")]
)
def test_a_decision_is_carried_out_at_once(app: Flask, take: str, name: str) -> None:
    waiting = run(app, "conflicts").output.split()[0]
    done = run(app, "conflicts", "resolve", waiting, "--take", take)
    assert done.exit_code == 0, done.output
    local, memory = databases(app)
    assert contents(local) == contents(memory)
    assert [row["name"] for row in contents(local)["experiments"]] == [name]
    assert run(app, "conflicts", "--open").output == ""
    again = run(app, "conflicts", "resolve", waiting, "--take", take)
    assert (again.exit_code, "it has been resolved" in again.stderr) == (1, True)


def test_a_decision_that_is_none_changes_nothing(app: Flask) -> None:
    waiting = run(app, "conflicts").output.split()[0]
    for take, code, problem in (
        ("third", 2, "must be first, second, a JSON object, or null"),
        ("[]", 2, "must be first, second, a JSON object, or null"),
        ('{"name": 5, "results": null}', 1, "column 'name' of table 'experiments' must be text"),
        ('{"name": "x"}', 1, "must have a value for results"),
    ):
        done = run(app, "conflicts", "resolve", waiting, "--take", take)
        assert (done.exit_code, problem in done.stderr) == (code, True), done.stderr
    assert run(app, "conflicts", "--open").output.split()[0] == waiting


def test_the_status_counts_what_waits(app: Flask) -> None:
    assert "local: 1 synced records, 1 resolved conflicts, 1 open: see" in run(app, "status").output

"""An application moves to another database while it is used."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from threading import Thread
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from api.operations import auto_migration
from app import create_app
from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.extension import Isthmus
from database.sync.audit.findings import Findings
from tests.documents.blocks import blocks
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert

PAGE = Path(__file__).parents[4] / "docs" / "move.md"
PASSWORD = "correct horse"


class House:
    """The application with its databases, in one or several processes."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self._folder = folder
        self._closing = closing
        self.old: DatabaseAdapter = SQLiteAdapter({"path": folder / "old.db", "synchronous": "normal"}, name="supabase")
        self.new: DatabaseAdapter = MemoryAdapter(name="convex")
        closing.callback(self.old.disconnect)
        self.app = self.worker()

    def worker(self) -> Flask:
        """One more process that serves the application, as far as it has state of its own."""
        settings = load_settings(
            None,
            ENVIRONMENT="testing",
            INSTANCE_PATH=self._folder,
            JWT_SECRET="s" * 40,
            DB_PRIMARY_CHECK="0.05",
            AUTH_REGISTER_LIMIT_PER_ADDRESS="off",
        )
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        app = create_app(settings, {"supabase": self.old, "convex": self.new}, hasher)
        auto_migration.start(app)
        return app

    def move(self, *args: str, source: str = "supabase", target: str = "convex") -> Any:
        return self.app.test_cli_runner().invoke(args=["sync", "move", "--from", source, "--to", target, *args])

    def moved(self, *args: str) -> list[dict[str, Any]]:
        done = self.move(*args, "--json")
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]


def primary(app: Flask) -> str:
    manager = Isthmus.of(app).manager
    with as_application():
        manager.table("molecules").select("id").limit(1).execute()
    return manager.primary_adapter


def register(app: Flask, name: str) -> int:
    body = {"email": f"{name}@example.com", "password": PASSWORD}
    return app.test_client().post("/auth/register", json=body).status_code


def sign_in(app: Flask, name: str) -> Any:
    return app.test_client().post("/auth/login", json={"email": f"{name}@example.com", "password": PASSWORD})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as closing:
        yield House(tmp_path, closing)
    ConnectionManager.set_instance(None)


def test_the_application_moves_and_goes_back(house: House) -> None:
    other = house.worker()
    insert(house.old, "a")
    assert register(house.app, "ada") == 201
    session = sign_in(house.app, "ada").json
    ada = {"Authorization": f"Bearer {session['access_token']}"}
    place = "/api/storage/default/kept"
    etag = house.app.test_client().put(place, json={"a": 1}, headers=ada).headers["ETag"]

    steps = house.moved("--until", "cut")
    assert [step["step"] for step in steps] == ["check", "copy", "verify", "cut over"]
    assert (steps[2]["differences"], steps[3]["primary"]) == (0, "convex")
    assert (primary(house.app), primary(other), primary(house.worker())) == ("convex", "convex", "convex")

    # Accounts and their sessions go on.
    assert sign_in(other, "ada").status_code == 200
    refreshed = other.test_client().post("/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert refreshed.status_code == 200, refreshed.json
    assert register(other, "grace") == 201
    assert other.test_client().get(place, headers=ada).headers["ETag"] == etag
    assert other.test_client().put(place, json={"a": 2}, headers={**ada, "If-Match": etag}).status_code == 200
    with as_application():
        Isthmus.of(other).manager.table("molecules").insert({"id": "b", "name": "after"}).execute()
    assert [row["id"] for row in contents(house.new)["molecules"]] == ["a", "b"]

    steps = house.moved("--back", "--until", "cut")
    assert [step["step"] for step in steps] == ["cut over"]
    assert (primary(house.app), primary(other), primary(house.worker())) == ("supabase", "supabase", "supabase")
    assert [row["id"] for row in contents(house.old)["molecules"]] == ["a", "b"]
    assert sign_in(house.app, "grace").status_code == 200
    assert house.app.test_client().get(place, headers=ada).get_json() == {"a": 2}
    assert [step["step"] for step in house.moved("--finish")] == ["verify", "finish"]
    assert contents(house.old) == contents(house.new)


def test_nothing_that_was_acknowledged_is_missing_on_either_side(house: House) -> None:
    workers = [house.worker(), house.worker()]
    acknowledged: list[str] = []
    problems: list[BaseException] = []
    ended = Event()

    def work(place: int, app: Flask) -> None:
        manager = Isthmus.of(app).manager
        number = 0
        try:
            while not ended.is_set():
                number += 1
                with as_application():
                    manager.table("molecules").insert({"id": f"{place}-{number:06}", "name": "x"}).execute()
                acknowledged.append(f"{place}-{number:06}")
                assert register(app, f"user-{place}-{number}") == 201
                assert sign_in(app, f"user-{place}-{number}").status_code == 200
        except BaseException as error:  # noqa: BLE001  # told in the test's own thread
            problems.append(error)

    threads = [Thread(target=work, args=(place, app)) for place, app in enumerate(workers)]
    for thread in threads:
        thread.start()
    try:
        for steps in (
            house.moved("--until", "cut"),
            house.moved("--back", "--until", "cut"),
            house.moved("--until", "cut"),
        ):
            assert steps[-1]["step"] == "cut over"
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert problems == []
    finished = house.moved("--finish")
    assert finished[0]["differences"] == 0
    for adapter in (house.old, house.new):
        assert {row["id"] for row in contents(adapter)["molecules"]} == set(acknowledged)
    with as_application():
        rows = [adapter.table("isthmus_users").select().execute().rows for adapter in (house.old, house.new)]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 2


def test_a_dry_run_reports_and_changes_nothing(house: House) -> None:
    insert(house.old, "a")
    done = house.move("--dry-run")
    assert done.exit_code == 0, done.output
    assert "  molecules: 1 records of at most " in done.output
    assert "signing keys are in no database" in done.output
    assert contents(house.new)["molecules"] == []
    with as_application():
        assert house.new.table("isthmus_sync_cursors").select().execute().rows == []


def test_a_trial_copies_some_records_and_what_they_need(house: House) -> None:
    for name in "abc":
        insert(house.old, name)
        insert(house.old, f"p{name}", "protocols")
    insert(house.old, "e", "experiments", molecule_id="c", protocol_id="pc")
    steps = house.moved("--limit", "1")
    assert (steps[-1]["step"], steps[-1]["failed"]) == ("trial", 0)
    rows = contents(house.new)
    assert [row["id"] for row in rows["molecules"]] == ["a", "c"]
    assert [row["id"] for row in rows["experiments"]] == ["e"]
    assert primary(house.app) == "supabase"
    assert house.moved("--until", "cut")[-1]["primary"] == "convex"
    assert contents(house.old) == contents(house.new)


def test_what_cannot_move_is_told(house: House) -> None:
    assert house.move(target="elsewhere").exit_code == 2
    assert house.move(target="supabase").exit_code == 2


def test_differences_prevent_the_cut_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    insert(house.old, "a")
    assert house.moved("--until", "verify")[-1]["step"] == "verify"
    monkeypatch.setattr(Findings, "equal", False)
    done = house.move("--until", "cut")
    assert done.exit_code == 1
    assert "not equal" in done.stderr
    assert primary(house.app) == "supabase"


def test_the_commands_of_the_page_move_the_application(house: House) -> None:
    insert(house.old, "a")
    (block,) = blocks(PAGE, "sh")
    lines = [shlex.split(line, comments=True) for line in block.code.splitlines()]
    commands = [words[1:] for words in lines if words[0] == "flask"]
    assert len(commands) == 3
    for words in commands:
        # The last one would carry changes over until an interrupt.
        more = ["--until", "cut"] if words == commands[-1] else []
        done = house.app.test_cli_runner().invoke(args=[*words, *more])
        assert done.exit_code == 0, done.output
    assert primary(house.app) == "convex"

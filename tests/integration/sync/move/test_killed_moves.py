"""``flask sync move`` of adopted tables, killed and resumed, while the application is used.

``MOVE_ROWS=200000 .venv/bin/pytest tests/integration/sync/move -s -k local`` runs it at full size, and
``MOVE_ROWS=20000 … -k convex`` with the Convex deployment; both print what the commands print.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from threading import Event
from threading import Thread
from time import monotonic
from time import sleep
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from app import create_app
from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.result import Row
from database.declared import schema_in
from database.extension import Isthmus
from database.internal_tables import ACCOUNTS
from database.schema.adoption import installing
from database.schema.migrations import runner
from tests.contract.backends import supabase_database
from tests.integration.sync.adopted.conftest import _source
from tests.integration.sync.adopted.conftest import load
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresServer

ROWS = int(os.environ.get("MOVE_ROWS", "300"))
ROOT = Path(__file__).parents[4]
PASSWORD = "correct horse"
PATIENCE = 60.0 + ROWS / 100
"""Seconds; only a broken move needs them."""

NEW = 1_000_000_000
"""The first key of the records that are written during the move."""

FULL = 1000
"""The number of rows from which the move also goes back and forth, and the residents hardly pause."""

_packages = count()


class MovingHouse:
    """The application on a Supabase database with adopted tables, and the database that it goes to."""

    def __init__(self, target: str, server: PostgresServer, folder: Path, closing: ExitStack) -> None:
        self.target = target
        database = supabase_database(server)
        load(database)
        package = self._write_package(folder, _source(server))
        self._environment = {
            "APPLICATION_PACKAGE": package,
            "ENVIRONMENT": "testing",
            "DB_ADAPTER_ORDER": f"supabase,{target}",
            "DB_PRIMARY_CHECK": "0.1",
            "DB_AUTO_MIGRATE": "false",
            "INSTANCE_PATH": str(folder),
            "JWT_SECRET": "s" * 40,
            "AUTH_REGISTER_LIMIT_PER_ADDRESS": "off",
            "SUPABASE_DB_HOST": database.host,
            "SUPABASE_DB_PORT": str(database.port),
            "SUPABASE_DB_NAME": database.database,
            "SUPABASE_DB_USER": database.user,
            "SUPABASE_DB_PASSWORD": database.password,
            "LOCAL_DB_PATH": str(folder / "house.db"),
            "LOCAL_DB_SYNCHRONOUS": "normal",
        }
        self._folder = folder
        closing.callback(sys.path.remove, str(folder))
        if target == "convex":
            deployment = available(ConvexDeployment, functions_with(schema_in(package), folder / "functions"))
            closing.enter_context(deployment)
            self._environment |= {"CONVEX_URL": deployment.url, "CONVEX_DEPLOYMENT_KEY": deployment.deploy_key}
        self.app = self.worker()
        closing.callback(Isthmus.of(self.app).manager.disconnect)
        self.manager = Isthmus.of(self.app).manager
        for name, adapter in self.manager.adapters.items():
            if name != "convex":
                runner.upgrade(adapter)
                installing.install_tables(adapter)
                installing.install_changes(adapter)

    def _write_package(self, folder: Path, source: str) -> str:
        package = folder / f"house_{os.getpid()}_{next(_packages)}"
        package.mkdir()
        text = re.sub(r"sa\.Identity\(.*?\)", "autoincrement=False", source)
        if self.target == "convex":
            text += '\nmetadata.remove(metadata.tables["Odd Table"])\n'
        (package / "__init__.py").write_text("")
        (package / "tables.py").write_text(text)
        (package / "application.py").write_text("def init_app(app):\n    pass\n")
        (package / "permissions.py").write_text("PERMISSIONS = {}\n")
        sys.path.insert(0, str(folder))
        return package.name

    def worker(self) -> Flask:
        """The application in this process."""
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        return create_app(load_settings(None, **self._environment), password_hasher=hasher)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start the command in a process of its own."""
        words = ["sync", "move", "--from", "supabase", "--to", self.target, "--json", *args]
        path = os.pathsep.join([str(ROOT), str(self._folder)])
        environment = {**os.environ, **self._environment, "PYTHONPATH": path}
        return subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "app", *words],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def move(self, *args: str) -> list[dict[str, Any]]:
        """Run the command to its end."""
        process = self.start(*args)
        out, err = process.communicate(timeout=PATIENCE)
        sys.stdout.write(f"flask sync move {' '.join(args)}\n{_short(out)}")
        assert process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def kill(self, after: str, copied: int = 0) -> None:
        """Start the command, and kill it (SIGKILL) after it has told a step, and has copied some records."""
        process = self.start("--until", "cut")
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(_short(line))
            if json.loads(line)["step"] == after:
                break
        until = monotonic() + PATIENCE
        while process.poll() is None and self.rows(self.target, "track", count_only=True) < copied:
            assert monotonic() < until, "nothing is copied"
            sleep(0.01)
        sys.stdout.write(f"killed with {self.rows(self.target, 'track', count_only=True)} tracks copied\n")
        process.kill()
        _, err = process.communicate()
        assert process.returncode == -9, err

    def rows(self, name: str, table: str, *, count_only: bool = False) -> Any:
        adapter: DatabaseAdapter = self.manager.adapters[name]
        with as_application():
            if count_only:
                return adapter.run_alone(Select(table, limit=1, count=True)).count
            return adapter.run_alone(Select(table)).rows


def _short(lines: str) -> str:
    told = [json.loads(line) for line in lines.splitlines()]
    return "".join(
        f"  { ({**one, 'tables': '…', 'remarks': '…'} if one['step'] == 'check' else one) }\n" for one in told
    )


def furnish(house: MovingHouse) -> None:
    """The rows that are moved: of 20, one artist, three albums, and sixteen tracks."""
    adapter = house.manager.adapters["supabase"]
    number = ROWS // 20
    made: dict[str, list[Row]] = {
        "media_type": [{"media_type_id": 1, "name": "é \U0001f642"}],
        "genre": [{"genre_id": 1, "name": "Jazz"}],
        "artist": [{"artist_id": n, "name": f"artist {n}"} for n in range(number)],
        "album": [{"album_id": n, "title": f"album {n}", "artist_id": n // 3} for n in range(3 * number)],
        "track": [
            {
                "track_id": n, "name": f"track {n}", "album_id": n % (3 * number), "media_type_id": 1, "genre_id": 1,
                "composer": None, "milliseconds": n, "bytes": None, "unit_price": Decimal("0.99"),
            }
            for n in range(16 * number)
        ],
    }  # fmt: skip
    with as_application():
        for table, rows in made.items():
            for start in range(0, len(rows), 500):
                adapter.run_alone(Insert(table, rows[start : start + 500], returning=False))


class Resident:
    """Uses the application all the time: writes records, registers, and signs in.

    :ivar written: the artists that were acknowledged, by key; None for deleted ones.
    :ivar problem: what went wrong first.
    """

    def __init__(self, app: Flask, place: int) -> None:
        self._app = app
        # A copy ends once it has caught up: nobody may write faster than sync does.
        slow = "convex" in Isthmus.of(app).manager.adapters
        self._pause = 2.0 if slow else 0.01 if ROWS >= FULL else 0.2
        self._manager = Isthmus.of(app).manager
        self._place = place
        self._ended = Event()
        self._thread = Thread(target=self._live, daemon=True)
        self.written: dict[int, str | None] = {}
        self.accounts: list[str] = []
        self.problem: BaseException | None = None

    def __enter__(self) -> Resident:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _live(self) -> None:
        try:
            for number in count():
                if self._ended.wait(self._pause):
                    return
                self._work(number)
        except BaseException as error:  # noqa: BLE001  # told in the test's own thread
            self.problem = error

    def _work(self, number: int) -> None:
        key = NEW + 2 * number + self._place
        with as_application():
            self._manager.run(Insert("artist", [{"artist_id": key, "name": f"new {key}"}]))
            self.written[key] = f"new {key}"
            if number % 3 == 1:
                self._manager.run(Update("artist", {"name": f"changed {key}"}, key - 2))
                self.written[key - 2] = f"changed {key}"
            if number % 5 == 4:
                self._manager.run(Delete("artist", key - 4))
                self.written[key - 4] = None
        if number % 4 == 0:
            self._sign_in(f"resident-{self._place}-{number}@example.com")

    def _sign_in(self, email: str) -> None:
        client, body = self._app.test_client(), {"email": email, "password": PASSWORD}
        assert client.post("/auth/register", json=body).status_code == 201
        self.accounts.append(email)
        for known in (email, self.accounts[0]):
            answer = client.post("/auth/login", json={**body, "email": known})
            assert answer.status_code == 200, answer.json
        token = (answer.json or {})["refresh_token"]
        for _ in range(10):
            answer = client.post("/auth/refresh", json={"refresh_token": token})
            # Many changes of one moment, of sync and of two residents, may be in the way of each other until the end.
            if answer.status_code != 503:
                break
        assert answer.status_code == 200, answer.json


@pytest.fixture(params=["local", "convex"] if "MOVE_ROWS" in os.environ else ["local"])
def house(request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[MovingHouse]:
    with ExitStack() as closing:
        yield MovingHouse(request.param, postgres_server, tmp_path, closing)
    ConnectionManager.set_instance(None)


def test_a_killed_move_goes_on_and_loses_nothing(house: MovingHouse) -> None:
    began = datetime.now(UTC)
    furnish(house)
    other = house.worker()
    with Resident(house.app, 0) as one, Resident(other, 1) as two:
        house.kill("check", copied=ROWS // 10)
        house.kill("copy")
        assert house.move("--until", "cut")[-1]["primary"] == house.target
        if ROWS >= FULL:
            assert house.move("--back", "--until", "cut")[-1]["primary"] == "supabase"
            last = house.move("--until", "cut")
            assert [step["step"] for step in last][-2:] == ["verify", "cut over"]
            assert last[-2]["differences"] == 0
    assert (one.problem, two.problem) == (None, None)
    finished = house.move("--finish")
    assert finished[0]["differences"] == 0
    # Who leads is asked with a call, and the residents may have made their last one before the last cut.
    assert house.manager.adapter.name == finished[-1]["primary"]
    assert house.manager.primary_adapter == finished[-1]["primary"]
    sys.stdout.write(
        f"{ROWS} rows and {len(one.written) + len(two.written)} written meanwhile, {len(one.accounts + two.accounts)}"
        f" accounts, in {(datetime.now(UTC) - began).total_seconds():.0f} s\n"
    )
    written = one.written | two.written
    for name in house.manager.adapters:
        found = {
            row["artist_id"]: row["name"] for row in house.rows(name, "artist") if row["artist_id"] >= 1_000_000_000
        }
        assert found == {key: value for key, value in written.items() if value is not None}
        assert {row["email"] for row in house.rows(name, "isthmus_users")} == {*one.accounts, *two.accounts}
        assert house.rows(name, "track", count_only=True) == 16 * (ROWS // 20)
    for table in ACCOUNTS:
        assert house.rows("supabase", table) == house.rows(house.target, table)
    Isthmus.of(other).manager.disconnect()

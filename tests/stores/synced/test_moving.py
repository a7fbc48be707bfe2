"""An application with record stores moves from SQLite to PostgreSQL, and back with what was stored meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from app import create_app
from config.settings import load_settings
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from storage import MemoryEntries
from storage import Store
from stores import current_agents
from stores import current_evaluations
from stores import current_experiments
from tests.stores.synced.conftest import Side
from tests.stores.synced.conftest import postgresql
from tests.stores.synced.conftest import sqlite
from tests.stores.synced.laboratory import PACKAGE


@pytest.fixture
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    blobs = Store(MemoryEntries())
    with ExitStack() as closing, as_application():
        first, second = (Side(made(request, tmp_path, closing), blobs) for made in (sqlite, postgresql))
        yield first, second
    ConnectionManager.set_instance(None)


@pytest.fixture
def app(both: tuple[Side, Side], tmp_path: Path) -> Flask:
    settings = load_settings(
        None,
        ENVIRONMENT="testing",
        INSTANCE_PATH=tmp_path,
        JWT_SECRET="s" * 40,
        APPLICATION_PACKAGE=PACKAGE,
        DB_PRIMARY_CHECK="0.05",
    )
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return create_app(settings, {"supabase": both[0].adapter, "convex": both[1].adapter}, hasher)


def moved(app: Flask, *args: str) -> list[Any]:
    command = ["sync", "move", "--from", "supabase", "--to", "convex", "--json", *args]
    done = app.test_cli_runner().invoke(args=command)
    assert done.exit_code == 0, done.output
    return [json.loads(line)["step"] for line in done.stdout.splitlines()]


def work(app: Flask, number: int) -> None:
    """What a view stores."""
    with app.test_request_context(), as_application():
        current_agents().save_state("a", "s", {"number": number})
        current_agents().save_conversation("c", {"number": number})
        current_agents().save_transactions("case", [{"id": 1, "number": number}, {"number": number}])
        current_evaluations().create(f"e{number}", "print(1)")
        current_evaluations().update(f"e{number}", status="completed", output="1")
        current_evaluations().record_metric(f"e{number}", "seconds", number / 7)
        current_experiments().save("episode:a:1", {"number": number})
        current_experiments().start_optimization_run(f"r{number}", "search", "mab")


def test_record_stores_move_and_go_back(app: Flask, both: tuple[Side, Side]) -> None:
    first, second = both
    work(app, 1)
    assert moved(app, "--until", "cut") == ["check", "copy", "verify", "cut over"]
    assert first.rows() == second.rows()
    work(app, 2)
    assert second.agents.get_state("a", "s") == {"number": 2}
    assert first.agents.get_state("a", "s") == {"number": 1}
    assert moved(app, "--back", "--until", "cut") == ["cut over"]
    work(app, 3)
    assert moved(app, "--finish") == ["verify", "finish"]
    assert first.rows() == second.rows()
    for side in both:
        assert [one["number"] for one in side.agents.get_conversation_history("c")] == [1, 2, 3]
        assert [one["number"] for one in side.agents.get_transactions("case")] == [1, 2, 3, 3]
        assert [one.status for one in side.evaluations.every()] == ["completed"] * 3
        assert side.experiments.list_keys() == ["episode:a:1", "run:r1", "run:r2", "run:r3"]

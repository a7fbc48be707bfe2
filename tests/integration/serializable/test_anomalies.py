"""The anomalies that have names, each over HTTP on every backend at its defaults: none happens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait
from itertools import permutations
from typing import Any

import pytest
from flask import Flask

from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.flask_scope import transactional
from tests.contract.backends import Backend
from tests.contract.tables import thing
from tests.integration.serializable.conftest import Ask
from tests.integration.serializable.conftest import serving
from tests.integration.serializable.meeting import PATIENCE
from tests.integration.serializable.meeting import Steps
from tests.integration.transactions.ledger import make_api
from tests.integration.transactions.ledger import managing

ROWS = {"a": 0, "b": 0}


@pytest.fixture(autouse=True)
def _rows(backend: Backend) -> None:
    backend.adapter.table("things").insert([thing(name, rank=rank) for name, rank in ROWS.items()]).execute()


@pytest.fixture
def steps() -> Steps:
    return Steps()


def rank(database: ConnectionManager, name: str) -> int:
    return int((database.get("things", name) or {})["rank"])


def set_rank(database: ConnectionManager, name: str, value: int) -> None:
    database.table("things").update({"rank": value}).eq("id", name).execute()


def statuses(asked: list[Future[Any]]) -> list[int]:
    return [future.result().status for future in asked]


def at_once(ask: Ask, *paths: str) -> list[int]:
    """The statuses of requests that are sent at the same time."""
    with ThreadPoolExecutor(len(paths)) as pool:
        return statuses([pool.submit(ask, "POST", path) for path in paths])


def serve_skewed(app: Flask, database: ConnectionManager, steps: Steps) -> None:
    """Who takes 100 from one of two accounts leaves no debt in both together."""

    @app.post("/take/<name>/<other>")
    @transactional(attempts=20)
    def take(name: str, other: str) -> tuple[str, int]:
        together = rank(database, "a") + rank(database, "b")
        steps.reach(name)
        steps.wait(other)
        if together < 100:
            return "too little", 422
        set_rank(database, name, rank(database, name) - 100)
        return "", 200


def test_write_skew(app: Flask, manager: ConnectionManager, ask: Ask, steps: Steps) -> None:
    serve_skewed(app, manager, steps)
    for name in ROWS:
        set_rank(manager, name, 50)
    assert sorted(at_once(ask, "/take/a/b", "/take/b/a")) == [200, 422]
    assert rank(manager, "a") + rank(manager, "b") == 0


def test_lost_update(app: Flask, manager: ConnectionManager, ask: Ask, steps: Steps) -> None:
    @app.post("/<name>/<other>")
    @transactional(attempts=20)
    def count(name: str, other: str) -> str:
        found = rank(manager, "a")
        steps.reach(name)
        steps.wait(other)
        set_rank(manager, "a", found + 1)
        return ""

    assert at_once(ask, "/one/two", "/two/one") == [200, 200]
    assert rank(manager, "a") == 2


def test_phantoms(app: Flask, manager: ConnectionManager, ask: Ask, steps: Steps) -> None:
    @app.post("/<name>/<other>")
    @transactional(attempts=20)
    def book(name: str, other: str) -> tuple[str, int]:
        overlaps = manager.table("things").eq("title", "room").gt("amount", 9).lt("amount", 11).execute()
        steps.reach(name)
        steps.wait(other)
        if overlaps.rows:
            return "taken", 409
        manager.table("things").insert(thing(name, title="room", amount=10)).execute()
        return "", 201

    assert sorted(at_once(ask, "/one/two", "/two/one")) == [201, 409]
    assert len(manager.table("things").eq("title", "room").execute()) == 1


def test_a_change_of_all_that_match_leaves_none_out(
    app: Flask, manager: ConnectionManager, ask: Ask, steps: Steps
) -> None:
    """One closes all that is open; one opens another if there is an open one."""

    @app.post("/close")
    @transactional(attempts=20)
    def close() -> str:
        manager.table("things").update({"title": "closed"}).eq("title", "open").execute()
        steps.reach("closed")
        steps.wait("opened")
        return ""

    @app.post("/open")
    @transactional(attempts=20)
    def open_another() -> str:
        steps.wait("closed")
        if manager.table("things").eq("title", "open").execute().rows:
            manager.table("things").insert(thing("c", title="open")).execute()
        return ""

    def and_say_so() -> int:
        status = ask("POST", "/open").status
        steps.reach("opened")
        return status

    manager.table("things").update({"title": "open"}).eq("id", "a").execute()
    with ThreadPoolExecutor(2) as pool:
        closing, opening = pool.submit(ask, "POST", "/close"), pool.submit(and_say_so)
        assert (closing.result().status, opening.result()) == (200, 200)
    assert manager.table("things").eq("title", "open").execute().rows == []


Report = Callable[[ConnectionManager], tuple[int, int]]


def _two_reads(database: ConnectionManager) -> tuple[int, int]:
    return rank(database, "a"), rank(database, "b")


def _one_read(database: ConnectionManager) -> tuple[int, int]:
    found = database.table("things").select("id, rank").in_("id", ["a", "b"]).execute().rows
    return found[0]["rank"], found[1]["rank"]


@pytest.mark.parametrize(("report", "lazy"), [(_two_reads, None), (_one_read, None), (_one_read, True)])
def test_the_read_only_anomaly(
    app: Flask, manager: ConnectionManager, ask: Ask, steps: Steps, report: Report, lazy: bool | None
) -> None:
    """A withdrawal that costs more without cover, a deposit that would be cover, and a report (Fekete, 2004)."""

    @app.post("/withdraw")
    @transactional(attempts=20)
    def withdraw() -> str:
        checking, savings = rank(manager, "a"), rank(manager, "b")
        steps.reach("withdrawing")
        steps.wait("reported")
        set_rank(manager, "a", checking - (10 if checking + savings >= 10 else 11))
        return ""

    @app.post("/deposit")
    @transactional(attempts=20)
    def deposit() -> str:
        set_rank(manager, "b", rank(manager, "b") + 20)
        return ""

    @app.get("/report")
    @transactional(lazy=lazy)
    def show() -> list[int]:
        return list(report(manager))

    with ThreadPoolExecutor(2) as pool:
        withdrawn = pool.submit(ask, "POST", "/withdraw")
        steps.wait("withdrawing")
        deposited = pool.submit(ask, "POST", "/deposit")
        wait([deposited], PATIENCE)
        reported = tuple(ask("GET", "/report").json())
        steps.reach("reported")
        assert statuses([withdrawn, deposited]) == [200, 200]
    assert (reported, _two_reads(manager)) in _serial_outcomes()


def _serial_outcomes() -> set[tuple[tuple[int, int], tuple[int, int]]]:
    outcomes = set()
    for order in permutations(["withdraw", "deposit", "report"]):
        checking = savings = 0
        reported = (0, 0)
        for step in order:
            if step == "withdraw":
                checking -= 10 if checking + savings >= 10 else 11
            elif step == "deposit":
                savings += 20
            else:
                reported = (checking, savings)
        outcomes.add((reported, (checking, savings)))
    return outcomes


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_dirty_reads(app: Flask, manager: ConnectionManager, ask: Ask, steps: Steps, method: str) -> None:
    @app.post("/fail")
    def fail() -> tuple[str, int]:
        set_rank(manager, "a", 9)
        steps.reach("written")
        steps.wait("read")
        return "", 500

    def read() -> list[int]:
        return [rank(manager, "a"), *[row["rank"] for row in manager.table("things").gt("rank", 5).execute()]]

    app.add_url_rule("/read", "read", read, methods=[method])
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(ask, "POST", "/fail")
        steps.wait("written")
        reading = pool.submit(ask, method, "/read")
        wait([reading], PATIENCE)
        steps.reach("read")
        assert (failing.result().status, reading.result().json()) == (500, [0])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_reads_that_are_not_repeatable_and_read_skew(
    app: Flask, manager: ConnectionManager, ask: Ask, steps: Steps, method: str
) -> None:
    @app.post("/write")
    @transactional(attempts=20)
    def change() -> str:
        for name in ROWS:
            set_rank(manager, name, 7)
        return ""

    @transactional(attempts=20)
    def read() -> list[int]:
        found = rank(manager, "a")
        steps.reach("reading")
        steps.wait("written")
        return [found, rank(manager, "a"), rank(manager, "b"), *_one_read(manager)]

    def write() -> int:
        steps.wait("reading")
        status = ask("POST", "/write").status
        steps.reach("written")
        return status

    app.add_url_rule("/read", "read", read, methods=[method])
    with ThreadPoolExecutor(2) as pool:
        reading, writing = pool.submit(ask, method, "/read"), pool.submit(write)
        assert writing.result() == 200
        assert reading.result().json() in [[0] * 5, [7] * 5]


def test_a_get_that_reads_keeps_nobody_from_writing_and_may_write_itself(
    app: Flask, manager: ConnectionManager, ask: Ask
) -> None:
    """Its change is refused if what it has read is out of date, and it is carried out anew."""
    attempts = []

    @app.get("/")
    def view() -> str:
        found = rank(manager, "a")
        attempts.append(found)
        if len(attempts) == 1:
            assert ask("POST", "/").status == 200
        set_rank(manager, "a", found + 1)
        return ""

    @app.post("/")
    def add() -> str:
        set_rank(manager, "a", rank(manager, "a") + 10)
        return ""

    assert ask("GET", "/").status == 200
    assert (attempts, rank(manager, "a")) == ([0, 10], 11)


@pytest.mark.parametrize("_backend", ["postgresql"], indirect=True)
def test_isolation_can_be_lowered(backend: Backend, steps: Steps) -> None:
    """With less of it there is write skew: so it is the default that keeps it out."""
    for isolation in ("repeatable read", "read committed"):
        adapter = backend.another(isolation=isolation)
        assert adapter.get_connection_info()["isolation"] == isolation
        assert _skewed(adapter, Steps()) == -100
        adapter.disconnect()
    assert _skewed(backend.adapter, steps) == 0


def _skewed(adapter: DatabaseAdapter, steps: Steps) -> int:
    manager = managing(adapter)
    app = make_api(manager)
    serve_skewed(app, manager, steps)
    for name in ROWS:
        set_rank(manager, name, 50)
    with serving(app) as ask:
        at_once(ask, "/take/a/b", "/take/b/a")
    return rank(manager, "a") + rank(manager, "b")

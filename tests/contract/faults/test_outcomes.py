"""Responses around the deadline: the reported outcome of a write is true, and a failed read is never a request error.

Each backend gets about ``LATE_WRITES`` writes, 15 by default, and a third as many reads. ``-rP --log-level INFO`` shows
what was told.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from api.http import problem
from config.settings import load_settings
from database import flask_scope
from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.errors import BackendError
from database.core.errors import Outcome
from database.core.errors import SerializationFailure
from database.core.operations import Batch
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Upsert
from database.flask_scope import transactional
from database.resilience.repetition import ATTEMPTS
from tests.contract.backends import Backend
from tests.contract.lateness import LIMIT
from tests.contract.lateness import Lateness
from tests.contract.lateness import LateNetwork
from tests.contract.lateness import Plan
from tests.contract.lateness import lateness
from tests.contract.lateness import within
from tests.servers.network.proxy import FaultProxy

logger = logging.getLogger(__name__)

AT_ONCE = 8
EXAMPLES = -(-int(os.environ.get("LATE_WRITES", "15")) // 5)
"""Works of eight calls each, usually with five or more writes."""

SLOW = {
    "sqlite": "insert into notes (id) with recursive n(i) as (select 1 union all select i + 1 from n where i < :steps)"
    " select :id from n where i = (select max(i) from n)",
    "postgres": "insert into notes (id) select :id from pg_sleep(:seconds)",
}
"""Writes that take about as long as there is time."""

STEPS_A_SECOND = 2_000_000

Work = Callable[["Caller", str, Plan], Any]


class Caller:
    """Asks an adapter for what a plan says, as plain code and as a client of an app."""

    def __init__(self, adapter: DatabaseAdapter) -> None:
        self.adapter = adapter
        app = Flask(__name__)
        app.config["REQUEST_TIMEOUT"] = LIMIT
        manager = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
        flask_scope.init_app(app, manager)
        problem.init_app(app)

        @app.post("/<name>")
        @transactional(attempts=ATTEMPTS)
        def write(name: str) -> dict[str, Any]:
            with as_application():
                manager.run(Get("notes", name))
                manager.run(Insert("notes", [note(name, 0)]))
                manager.run(Insert("notes", [note(name, 1)]))
            return {}

        @app.get("/<name>")
        def read(name: str) -> dict[str, Any]:
            with as_application():
                return {"found": manager.run(Get("notes", name)).rows}

        self._app = app

    def outcome(self, name: str, plan: Plan) -> Outcome:
        """What is told of a call; an error that is the caller's own is raised."""
        if plan.work.endswith("over HTTP"):
            return self._over_http("POST" if plan.work.startswith("write") else "GET", name)
        try:
            with as_application():
                WORKS[plan.work](self, name, plan)
        except (BackendError, SerializationFailure) as error:
            # A lost race says nothing of the deadline; and it is true that nothing was applied.
            return error.outcome
        return Outcome.APPLIED

    def _over_http(self, method: str, name: str) -> Outcome:
        answer = self._app.test_client().open(f"/{name}", method=method)
        if answer.status_code == 200:
            return Outcome.APPLIED
        assert answer.status_code == 503, answer.get_data(as_text=True)
        return Outcome(answer.get_json()["outcome"])


def note(name: str, number: int) -> dict[str, Any]:
    return {"id": f"{name}-{number}"}


def _alone(caller: Caller, name: str, _: Plan) -> None:
    caller.adapter.run(Insert("notes", [note(name, 0)]))


def _many(caller: Caller, name: str, _: Plan) -> None:
    caller.adapter.run(Insert("notes", [note(name, number) for number in range(25)]))


def _batch(caller: Caller, name: str, _: Plan) -> None:
    caller.adapter.run(Batch((Insert("notes", [note(name, 0)]), Upsert("notes", [note(name, 1)]))))


def _text(caller: Caller, name: str, _: Plan) -> None:
    caller.adapter.execute_query(f"insert into notes (id) values ('{name}-0')")


def _slow(caller: Caller, name: str, plan: Plan) -> None:
    values = {"id": f"{name}-0", "seconds": plan.moment, "steps": int(plan.moment * STEPS_A_SECOND)}
    caller.adapter.execute_query(SLOW[caller.adapter.sql_dialect], values)


def _transaction(caller: Caller, name: str, _: Plan) -> None:
    with caller.adapter.transaction():
        caller.adapter.run(Select("notes", limit=1))
        _alone(caller, name, _)
        caller.adapter.run(Insert("notes", [note(name, 1)]))


def _nested(caller: Caller, name: str, _: Plan) -> None:
    with caller.adapter.transaction():
        _alone(caller, name, _)
        with caller.adapter.transaction():
            caller.adapter.run(Insert("notes", [note(name, 1)]))


def _heedless(caller: Caller, name: str, _: Plan) -> None:
    """A view that gives a part less time, and ignores its failure."""
    with caller.adapter.transaction():
        _alone(caller, name, _)
        with suppress(BackendError), within(LIMIT / 2):
            caller.adapter.get("notes", name)
        caller.adapter.run(Insert("notes", [note(name, 1)]))


def _read(caller: Caller, name: str, _: Plan) -> None:
    caller.adapter.execute_query("select id from notes where id = ?", [name])


def _reads(caller: Caller, name: str, _: Plan) -> None:
    with caller.adapter.transaction():
        caller.adapter.get("notes", name)
        caller.adapter.run(Select("notes", limit=2))


WORKS: dict[str, Work] = {
    "alone": _alone,
    "many": _many,
    "batch": _batch,
    "text": _text,
    "slow": _slow,
    "transaction": _transaction,
    "nested": _nested,
    "heedless": _heedless,
    "read": _read,
    "reads": _reads,
}
ROWS = {"alone": 1, "many": 25, "text": 1, "slow": 1, "read": 0, "reads": 0, "read over HTTP": 0}
"""How many rows a work makes; 2 if it is not there."""


def plans(works: list[str]) -> st.SearchStrategy[list[Plan]]:
    # Around the deadline, or long after anybody waits for it.
    moments = st.integers(60, 130).map(lambda percent: LIMIT * (percent if percent < 130 else 600) / 100)
    one = st.builds(
        Plan, st.sampled_from(works), st.integers(1, 4), st.sampled_from(["request", "reply", "reply"]), moments
    )
    return st.lists(one, min_size=AT_ONCE, max_size=AT_ONCE)


@pytest.fixture
def late(backend: Backend, proxy: Callable[[int], FaultProxy]) -> Iterator[Lateness]:
    made = lateness(backend, proxy, AT_ONCE)
    yield made
    made.adapter.disconnect()


def test_what_is_told_at_the_deadline_is_true(backend: Backend, late: Lateness) -> None:
    caller = Caller(late.adapter)
    names = (f"n{number}" for number in count())
    works = [*WORKS, "write over HTTP", "read over HTTP"]
    if late.adapter.capabilities.sql == "translated":
        works.remove("slow")
    told: dict[str, tuple[Plan, Outcome]] = {}

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(planned=plans(works))
    def ask(planned: list[Plan]) -> None:
        named = dict(zip(names, planned, strict=False))
        with ThreadPoolExecutor(AT_ONCE) as threads:
            _connect(caller.adapter, threads)
            with late.during(planned):
                outcomes = list(threads.map(caller.outcome, named, planned))
        told.update(zip(named, zip(planned, outcomes, strict=True), strict=True))

    ask()
    assert late.held > 0
    # A message that was held up may have arrived after its call had ended: all are looked at once more here.
    with as_application():
        found = [row["id"] for row in _reader(backend, late).run(Select("notes")).rows]
    counted: Counter[tuple[str, str, bool]] = Counter()
    for name, (plan, outcome) in told.items():
        made = sum(one.startswith(f"{name}-") for one in found)
        wanted = ROWS.get(plan.work, 2)
        counted[plan.work, outcome.value, made > 0] += 1
        assert made in ({Outcome.APPLIED: {wanted}, Outcome.NOT_APPLIED: {0}}.get(outcome) or {0, wanted}), plan
    for (work, outcome_told, there), number in sorted(counted.items()):
        logger.info("%-16s%-16s%-12s%-10s%5d", backend.case.name, work, outcome_told, "there" if there else "", number)


def _connect(adapter: DatabaseAdapter, threads: ThreadPoolExecutor) -> None:
    """Open a connection for each call; connecting would be most of the delay."""

    def read(_: int) -> None:
        with suppress(BackendError), as_application():
            adapter.run(Select("notes", limit=1))

    list(threads.map(read, range(AT_ONCE)))


def _reader(backend: Backend, late: Lateness) -> DatabaseAdapter:
    """An adapter without delays that reads the rows."""
    return backend.adapter if isinstance(late, LateNetwork) or backend.case.capabilities.durable else late.adapter

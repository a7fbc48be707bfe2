"""What a process knows of ended sessions: how soon, how often it asks, and what goes on while nobody answers."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from auth.errors import InvalidToken
from auth.sessions.revocation import INTERVAL
from auth.sessions.revocation import MARGIN
from auth.sessions.revocation import WAIT_AFTER
from auth.sessions.revocation import Revocation
from auth.sessions.sessions import SESSIONS
from auth.sessions.sessions import Sessions
from database.adapter.backend import Setup
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend
from database.core.context import Context
from database.core.context import current_context
from database.core.errors import Unavailable
from database.core.operations import Operation
from database.core.operations import Select
from database.core.result import Result
from tests.clocks import ManualClock
from tests.integration.forks import answer_of_child

LIFE = timedelta(minutes=15)
USER = "018f5c3e-0000-7000-8000-000000000001"


class MoodyBackend(MemoryBackend):
    """Memory that counts how often it is asked for ended sessions, and can be made to wait, or to fail."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.asked = 0
        self.well = True
        self.source: str | None = None
        self.asking = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.contexts: list[Context] = []

    def execute(self, operation: Operation, context: Context) -> Result:
        if not isinstance(operation, Select) or operation.table != SESSIONS:
            return super().execute(operation, context)
        self.asked += 1
        self.contexts.append(context)
        self.asking.set()
        assert self.may_answer.wait(30)
        if not self.well:
            raise Unavailable("gone")
        result = super().execute(operation, context)
        result.source = self.source
        return result


class Moody(MemoryAdapter):
    """An adapter on that backend."""

    backend_class = MoodyBackend
    backend: MoodyBackend


@pytest.fixture
def database() -> Moody:
    return Moody({"retry_count": 0, "circuit_breaker_threshold": 0})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make(database: Moody, clock: ManualClock, policy: Any = "reads") -> Revocation:
    """One that waits for an answer as long as only a broken part needs."""
    return Revocation(database, token_life=LIFE, policy=policy, max_stale=30, patience=30, clock=clock)


def ended_elsewhere(database: Moody, ago: timedelta = timedelta()) -> str:
    """A session that another process has ended."""
    days = timedelta(days=1)
    sessions = Sessions(database, idle=days, lifetime=days, now=lambda: datetime.now(UTC) - ago)
    grant = sessions.begin(USER)
    sessions.end(grant.session_id, USER, "logout")
    return grant.session_id


def refused(revocation: Revocation, session_id: str = "any", method: str = "GET") -> str | None:
    """Why a request may not go on."""
    try:
        revocation.check(session_id, method)
    except (InvalidToken, Unavailable) as error:
        return type(error).__name__
    return None


def test_what_ended_elsewhere_is_refused_after_an_interval(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    assert refused(revocation) is None
    session_id = ended_elsewhere(database)
    assert refused(revocation, session_id) is None
    clock.advance(INTERVAL)
    assert refused(revocation, session_id) == "InvalidToken"
    assert refused(revocation) is None


def test_what_ended_here_is_refused_at_once_and_stays_so(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    assert refused(revocation, "mine") is None
    revocation.add(["mine"])
    for _ in range(3):
        assert refused(revocation, "mine") == "InvalidToken"
        clock.advance(INTERVAL)
    clock.advance((LIFE + MARGIN).total_seconds())
    assert refused(revocation, "mine") is None


def test_the_database_is_asked_once_in_an_interval(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    for _ in range(3):
        for _ in range(100):
            refused(revocation)
        clock.advance(INTERVAL)
    assert database.backend.asked == 3


def test_only_what_ended_within_the_life_of_a_token_is_remembered(database: Moody, clock: ManualClock) -> None:
    forgotten = ended_elsewhere(database, LIFE + MARGIN + timedelta(seconds=5))
    remembered = ended_elsewhere(database, LIFE)
    revocation = make(database, clock)
    assert refused(revocation, remembered) == "InvalidToken"
    assert refused(revocation, forgotten) is None
    assert revocation.snapshot()["ended_sessions"] == 1


def test_it_asks_as_the_service_soon_and_outside_of_any_transaction(database: Moody, clock: ManualClock) -> None:
    with database.transaction():
        assert refused(make(database, clock)) is None
    (context,) = database.backend.contexts
    assert context.identity is not None
    assert context.identity.role == "service_role"
    assert context.deadline < monotonic() + 31
    assert current_context.get().identity is None


def test_while_one_request_asks_the_others_go_on(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    refused(revocation)
    clock.advance(INTERVAL)
    database.backend.may_answer.clear()
    database.backend.asking.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(refused, revocation)
        assert database.backend.asking.wait(30)
        assert [refused(revocation) for _ in range(5)] == [None] * 5
        database.backend.may_answer.set()
        assert slow.result(30) is None
    assert database.backend.asked == 2


def test_after_a_pause_all_requests_wait_for_the_answer(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    refused(revocation)
    session_id = ended_elsewhere(database)
    clock.advance(WAIT_AFTER + 0.1)
    database.backend.may_answer.clear()
    database.backend.asking.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(refused, revocation, session_id) for _ in range(3)]
        assert database.backend.asking.wait(30)
        assert not any(request.done() for request in waiting)
        database.backend.may_answer.set()
        assert [request.result(30) for request in waiting] == ["InvalidToken"] * 3
    assert database.backend.asked == 2


POLICIES = {
    ("reads", "GET"): None,
    ("reads", "HEAD"): None,
    ("reads", "OPTIONS"): None,
    ("reads", "POST"): "Unavailable",
    ("reads", "DELETE"): "Unavailable",
    ("reads", "PROPFIND"): "Unavailable",
    ("open", "GET"): None,
    ("open", "POST"): None,
    ("closed", "GET"): "Unavailable",
    ("closed", "POST"): "Unavailable",
}


@pytest.mark.parametrize(("policy", "method"), POLICIES)
def test_the_policy_decides_once_the_knowledge_is_old(
    database: Moody, clock: ManualClock, policy: str, method: str
) -> None:
    revocation = make(database, clock, policy)
    known = ended_elsewhere(database)
    refused(revocation)
    database.backend.well = False
    clock.advance(30)
    assert refused(revocation, method=method) is None
    clock.advance(1)
    assert refused(revocation, method=method) == POLICIES[policy, method]
    assert refused(revocation, known, method) is not None
    assert revocation.snapshot()["applies"] is True
    database.backend.well = True
    clock.advance(INTERVAL)
    assert refused(revocation, method=method) is None
    assert refused(revocation, known, method) == "InvalidToken"


@pytest.mark.parametrize(("policy", "method"), POLICIES)
def test_the_policy_decides_at_once_where_nothing_was_ever_known(
    database: Moody, clock: ManualClock, policy: str, method: str
) -> None:
    database.backend.well = False
    revocation = make(database, clock, policy)
    assert refused(revocation, method=method) == POLICIES[policy, method]
    revocation.add(["mine"])
    assert refused(revocation, "mine", method) is not None


def test_a_silent_database_is_asked_once_in_an_interval_and_complained_of_once(
    database: Moody, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    revocation = make(database, clock)
    database.backend.well = False
    for _ in range(3):
        for _ in range(10):
            refused(revocation)
        clock.advance(INTERVAL)
    assert database.backend.asked == 3
    assert [record.levelno for record in caplog.records if record.name == "auth.sessions.revocation"] == [
        logging.WARNING
    ]


def test_a_stand_ins_answer_is_no_knowledge(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    database.backend.source = "local"
    assert refused(revocation, method="POST") == "Unavailable"
    database.backend.source = None
    clock.advance(INTERVAL)
    assert refused(revocation, method="POST") is None


def test_a_forked_child_asks_for_itself(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    assert refused(revocation) is None
    # As if another thread was asking at that moment, which is not in the child.
    with revocation._loading:
        assert answer_of_child(lambda: f"{refused(revocation)} {database.backend.asked}") == "None 1"


def test_the_status_tells_the_age_of_the_knowledge(database: Moody, clock: ManualClock) -> None:
    revocation = make(database, clock)
    before = revocation.snapshot()
    assert before == {"policy": "reads", "applies": False, "known_seconds_ago": None, "ended_sessions": 0}
    refused(revocation)
    clock.advance(100)
    assert revocation.snapshot() == before | {"known_seconds_ago": 100.0}

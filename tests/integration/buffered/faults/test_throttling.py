"""Servers that ask to be left alone for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from email.utils import format_datetime

import pytest

from database.core.errors import BackendError
from database.core.errors import OutcomeUnknown
from database.core.errors import Throttled
from database.core.errors import Unavailable
from database.core.operations import Insert
from database.core.operations import Select
from tests.integration.buffered.remote import Lasting
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import ids
from tests.integration.buffered.remote import only_convex
from tests.integration.buffered.remote import only_supabase
from tests.integration.buffered.tables import account
from tests.integration.buffered.traffic import Answered

AT_ONCE = 1.5  # seconds that a busy machine may take to do nothing
LATER = Lasting(0.9, 8)


def in_seconds(seconds: float) -> str:
    return str(int(seconds))


def at_a_time(seconds: float) -> str:
    """A date has whole seconds, and the present one has begun."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds + 1), usegmt=True)


def too_many(remote: Remote, wait: str) -> Answered:
    return Answered(429, "RateLimited", Retry_After=wait)


def overload(remote: Remote, wait: str) -> Answered:
    return remote.server.overload(Retry_After=wait)


Refusal = Callable[[Remote, str], Answered]
refusals = pytest.mark.parametrize("refusal", [too_many, overload])


@refusals
@pytest.mark.parametrize("spelled", [in_seconds, at_a_time])
def test_a_wait_that_fits_is_waited_for(remote: Remote, refusal: Refusal, spelled: Callable[[float], str]) -> None:
    remote.traffic.plan(refusal(remote, spelled(1)), remote.server.commit)
    with LATER:
        remote.adapter.run(Insert("accounts", [account("a")]))
    assert len(remote.commits()) == 2
    assert ids(remote.direct, "accounts") == ["a"]


@refusals
def test_a_read_waits_too(remote: Remote, refusal: Refusal) -> None:
    remote.traffic.plan(refusal(remote, "1"))
    with LATER:
        assert remote.adapter.run(Select("accounts")).rows == []
    assert remote.traffic.count() == 2


@refusals
@pytest.mark.parametrize("timeout", [5, 0], ids=["beyond the deadline", "without a deadline"])
def test_a_wait_that_is_too_long_is_told_at_once(remote: Remote, refusal: Refusal, timeout: int) -> None:
    adapter = remote.another(timeout=timeout)
    adapter.run(Select("accounts"))  # to connect takes its time, too
    connected = remote.traffic.count()
    remote.traffic.plan(refusal(remote, "60"), times=2)
    with Lasting(0, AT_ONCE), pytest.raises(BackendError) as refused:
        adapter.run(Select("accounts"))
    assert refused.value.retry_after == 60
    assert remote.traffic.count() == connected + 1
    with Lasting(0, AT_ONCE), pytest.raises(BackendError) as refused:
        adapter.run(remote.server.add)
    assert refused.value.retry_after == 60
    assert remote.traffic.count() == connected + 2
    assert ids(remote.direct, "memos") == []


def test_too_many_requests_say_nothing_against_the_server(remote: Remote) -> None:
    adapter = remote.another(retry_count=0, circuit_breaker_threshold=1)
    remote.traffic.plan(too_many(remote, "60"), times=5)
    for _ in range(5):
        with pytest.raises(Throttled):
            adapter.run(Insert("accounts", [account("a")]))
    adapter.run(Insert("accounts", [account("a")]))
    assert adapter.pipeline.circuit_breaker.state == "closed"


@only_convex
def test_an_overload_of_convex_has_applied_nothing(remote: Remote) -> None:
    remote.traffic.plan(overload(remote, "60"))
    with pytest.raises(Throttled):
        remote.adapter.run(remote.server.add)


@only_supabase
def test_an_overload_that_a_gateway_tells_leaves_a_write_in_doubt(remote: Remote) -> None:
    """It may have passed the request on before."""
    remote.traffic.plan(overload(remote, "60"), times=2)
    with pytest.raises(OutcomeUnknown):
        remote.adapter.run(remote.server.add)
    with pytest.raises(Unavailable):
        remote.adapter.run(remote.server.read)

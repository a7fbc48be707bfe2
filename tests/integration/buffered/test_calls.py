"""Functions of the application: what may be repeated when their answers are lost, and what must not."""

from __future__ import annotations

from math import inf

import pytest

from database.core.errors import OutcomeUnknown
from database.core.errors import Throttled
from database.core.errors import Unavailable
from database.core.operations import Call
from database.core.operations import Insert
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import ids
from tests.integration.buffered.remote import only_convex
from tests.integration.buffered.traffic import Answered
from tests.integration.buffered.traffic import AnsweredAfter
from tests.integration.buffered.traffic import Cut
from tests.integration.buffered.traffic import Lost

LISTING = "_system/cli/modules:apiSpec"


def test_a_function_that_changes_something_is_not_repeated(remote: Remote) -> None:
    remote.traffic.plan(Lost(), remote.server.adder)
    with pytest.raises(OutcomeUnknown):
        remote.adapter.run(remote.server.add)
    assert remote.traffic.count(remote.server.adder) == remote.traffic.count() == 1
    assert len(ids(remote.direct, "memos")) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
def test_nor_after_an_error_of_somebody_on_the_way(remote: Remote, status: int) -> None:
    remote.traffic.plan(AnsweredAfter(status), remote.server.adder)
    with pytest.raises(OutcomeUnknown):
        remote.adapter.run(remote.server.add)
    assert remote.traffic.count() == 1
    assert len(ids(remote.direct, "memos")) == 1


def test_a_function_whose_request_was_cut_is_not_repeated(remote: Remote) -> None:
    """It did not arrive, but nobody on this side can know."""
    remote.traffic.plan(Cut(), remote.server.adder)
    with pytest.raises(OutcomeUnknown):
        remote.adapter.run(remote.server.add)
    assert remote.traffic.count() == 1
    assert ids(remote.direct, "memos") == []


def test_a_function_that_was_certainly_not_carried_out_is_repeated(remote: Remote) -> None:
    remote.traffic.plan(Answered(429), remote.server.adder, times=2)
    assert remote.adapter.run(remote.server.add).value == "nobody"
    assert remote.traffic.count() == 3
    assert len(ids(remote.direct, "memos")) == 1


def test_a_function_that_reads_is_repeated(remote: Remote) -> None:
    remote.direct.run(Insert("memos", [{"owner": "nobody"}]))
    remote.traffic.plan(Lost(), remote.server.reader, times=2)
    assert remote.adapter.run(remote.server.read).value == 1
    assert remote.traffic.count(remote.server.reader) == remote.traffic.count() == 3


def test_a_function_that_reads_fails_in_the_end(remote: Remote) -> None:
    remote.traffic.plan(Lost(), remote.server.reader, times=inf)
    with pytest.raises(Unavailable):
        remote.another(retry_count=2).run(remote.server.read)
    assert remote.traffic.count() == 3


@only_convex
def test_kinds_that_the_deployment_has_told_count_as_well(remote: Remote) -> None:
    adapter = remote.another(functions={})
    remote.traffic.plan(Lost(), LISTING, times=2)
    remote.traffic.plan(Lost(), remote.server.reader, times=2)
    remote.traffic.plan(Lost(), remote.server.adder)
    assert adapter.run(remote.server.read).value == 0
    with pytest.raises(OutcomeUnknown):
        adapter.run(remote.server.add)
    counts = [remote.traffic.count(name) for name in (LISTING, remote.server.reader, remote.server.adder)]
    assert counts == [3, 3, 1]


@only_convex
def test_a_function_inside_a_transaction_is_made_once_with_it(remote: Remote) -> None:
    """There it is part of the commit, which has a key."""
    remote.traffic.plan(Lost(), remote.server.commit, times=2)
    with remote.adapter.transaction():
        remote.adapter.run(Insert("memos", [{"id": "m", "owner": "nobody"}]))
        answer = remote.adapter.call(remote.server.adder, {"owner": "somebody"})
    assert answer.value == "somebody"
    assert len(remote.commits()) == remote.traffic.count() == 3
    assert len(ids(remote.direct, "memos")) == 2


@only_convex
def test_a_race_lost_inside_the_deployment_is_run_again(remote: Remote) -> None:
    remote.server.lose_a_race()
    remote.adapter.run(Insert("memos", [{"owner": "nobody"}]))
    assert len(remote.commits()) == 2
    remote.server.lose_a_race()
    with pytest.raises(Throttled):
        remote.another(retry_count=0).run(Insert("memos", [{"owner": "nobody"}]))
    assert len(ids(remote.direct, "memos")) == 1


def test_a_function_that_does_not_exist_is_not_repeated(remote: Remote) -> None:
    with pytest.raises(KeyError):
        remote.adapter.run(Call(f"{remote.server.adder}_more", {}))
    assert remote.traffic.count(f"{remote.server.adder}_more") <= 1

from __future__ import annotations

import logging

import pytest

from database.changes.outage import Outage
from database.core.errors import ConnectFailed

DOWN = ConnectFailed("the connection was refused")


@pytest.fixture
def outage() -> Outage:
    return Outage("main")


def test_its_beginning_and_its_end_are_told_once(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    for follower in ("a", "b", "a"):
        outage.begin(follower, DOWN)
    assert outage.end("a")
    assert caplog.messages == [
        "main does not respond to its subscriptions; they are retried: the connection was refused"
    ]
    assert outage.end("b")
    assert caplog.messages[1:] == ["main responds to its subscriptions again"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_who_did_not_wait_ends_nothing(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    assert not outage.end("a")
    outage.begin("a", DOWN)
    assert not outage.end("b")
    assert len(caplog.messages) == 1


def test_who_leaves_does_not_hold_up_the_end(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.begin("a", DOWN)
    outage.begin("b", DOWN)
    outage.leave("a")
    outage.end("b")
    assert len(caplog.messages) == 2
    outage.begin("a", DOWN)
    outage.leave("a")
    assert not outage.end("a")
    assert len(caplog.messages) == 3

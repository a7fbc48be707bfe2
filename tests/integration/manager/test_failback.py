"""A start without the primary: its stand-in serves until the primary is well, or for good once it took a write."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from threading import enumerate as all_threads

import pytest

from config.settings import load_settings
from database.connection_manager import ConnectionManager
from tests.integration.manager.conftest import PATIENCE
from tests.integration.manager.conftest import Pair
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import write


@pytest.fixture
def manager(pair: Pair) -> ConnectionManager:
    """A manager that was started while the primary was away, and returns to it at once."""
    settings = load_settings(None, ENVIRONMENT="testing", DB_FAILBACK_AFTER="0")
    manager = ConnectionManager(settings, pair.manager.adapters)
    pair.server.stop()
    assert manager.connect()
    assert manager.active_adapter == "spare"
    return manager


def until(condition: Callable[[], bool]) -> None:
    never = Event()
    for _ in range(round(PATIENCE / 0.02)):
        if condition():
            return
        never.wait(0.02)
    pytest.fail("it did not come about")


def nobody_watches() -> bool:
    return not any(thread.name == "isthmus-failback" for thread in all_threads())


def write_plainly(manager: ConnectionManager) -> None:
    manager.table("accounts").update({"balance": 5}).eq("id", "acme").execute()


def write_in_transaction(manager: ConnectionManager) -> None:
    with manager.transaction():
        write(manager, "on the stand-in")


def test_the_stand_in_serves_and_is_no_secret(manager: ConnectionManager, pair: Pair) -> None:
    assert balance(manager) == 1
    assert manager.get_connection_info()["degraded"] is True
    assert not nobody_watches()


def test_the_primary_becomes_active_when_it_is_there(manager: ConnectionManager, pair: Pair) -> None:
    assert [row["note"] for row in manager.table("entries").execute()] == ["in spare"]
    pair.server.start()
    until(lambda: manager.active_adapter == "main")
    assert [row["note"] for row in manager.table("entries").execute()] == ["in main"]
    until(nobody_watches)
    write(manager, "on the primary")
    assert pair.main.notes() == ["in main", "on the primary"]


@pytest.mark.parametrize("change", [write_plainly, write_in_transaction])
def test_after_a_write_the_stand_in_stays(
    manager: ConnectionManager, pair: Pair, change: Callable[[ConnectionManager], None]
) -> None:
    change(manager)
    pair.server.start()
    until(nobody_watches)
    manager._return_to_primary()
    assert manager.active_adapter == "spare"
    assert manager.connect()
    assert manager.active_adapter == "spare"


def test_connecting_anew_after_disconnecting_watches_anew(manager: ConnectionManager, pair: Pair) -> None:
    manager.disconnect()
    assert manager.connect()
    assert manager.active_adapter == "spare"
    pair.server.start()
    until(lambda: manager.active_adapter == "main")


def test_disconnecting_ends_the_watch(manager: ConnectionManager) -> None:
    manager.disconnect()
    until(nobody_watches)
    assert manager.active_adapter is None

"""A start without the primary: its stand-in answers reads, and takes no writes, until the primary is well."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest

from config.settings import load_settings
from database.connection_manager import ConnectionManager
from database.core.errors import Unavailable
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


def write_plainly(manager: ConnectionManager) -> None:
    manager.table("accounts").update({"balance": 5}).eq("id", "acme").execute()


def write_in_transaction(manager: ConnectionManager) -> None:
    with manager.transaction():
        write(manager, "on the stand-in")


def test_the_stand_in_answers_and_is_no_secret(manager: ConnectionManager) -> None:
    assert balance(manager) == 1
    result = manager.table("entries").execute()
    assert result.source == "spare"
    assert result.stale_for is not None
    assert manager.get_connection_info()["degraded"] is True


@pytest.mark.parametrize("change", [write_plainly, write_in_transaction])
def test_the_stand_in_takes_no_writes(
    manager: ConnectionManager, pair: Pair, change: Callable[[ConnectionManager], None]
) -> None:
    with pytest.raises(Unavailable, match="main is unavailable; spare executes reads only") as refused:
        change(manager)
    assert (refused.value.retry_after or 0) <= 2
    assert (pair.spare.notes(), pair.spare.balance()) == (["in spare"], 1)


def test_the_primary_takes_over_when_it_is_there(manager: ConnectionManager, pair: Pair) -> None:
    assert [row["note"] for row in manager.table("entries").execute()] == ["in spare"]
    pair.server.start()
    until(lambda: manager.active_adapter == "main")
    result = manager.table("entries").execute()
    assert ([row["note"] for row in result], result.source) == (["in main"], None)
    assert manager.get_connection_info()["degraded"] is False
    write(manager, "on the primary")
    assert pair.main.notes() == ["in main", "on the primary"]


def test_connecting_anew_after_disconnecting_watches_anew(manager: ConnectionManager, pair: Pair) -> None:
    manager.disconnect()
    before = manager.active_adapter
    assert manager.connect()
    assert (before, manager.active_adapter) == (None, "spare")
    pair.server.start()
    until(lambda: manager.active_adapter == "main")

"""Row level security during an outage: the stand-in shows nobody more than the database that is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import load_settings
from database.backends.memory import MemoryAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.connection_manager import ConnectionManager
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import PermissionDenied
from database.core.errors import Unavailable
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Select
from tests.contract.callers import asking
from tests.servers.network.ports import free_port

USER = Identity("01890a5d-ac96-774b-bcce-b302099a8057", "authenticated")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ConnectionManager]:
    """A Supabase database that is away, and a stand-in without row level security."""
    away = SupabaseDirectAdapter({"host": "127.0.0.1", "port": free_port(), "timeout": 2, "retry_count": 0})
    manager = ConnectionManager(load_settings(None), {"away": away, "spare": MemoryAdapter()})
    manager.connect()
    yield manager
    manager.disconnect()


@pytest.mark.parametrize("read", [Select("notes"), Get("notes", "x")], ids=["select", "get"])
def test_rows_that_are_not_public_stay_away(manager: ConnectionManager, read: Operation) -> None:
    with acting_as(USER), pytest.raises(Unavailable):
        manager.run(read)


@pytest.mark.parametrize("identity", [ANONYMOUS, USER], ids=["anonymous", "user"])
@pytest.mark.parametrize("read", [Select("isthmus_users"), Get("isthmus_users", "x")], ids=["select", "get"])
def test_rows_that_are_nobodys_are_refused(manager: ConnectionManager, identity: Identity, read: Operation) -> None:
    with acting_as(identity), pytest.raises(PermissionDenied):
        manager.run(read)


@pytest.mark.parametrize("identity", [ANONYMOUS, USER], ids=["anonymous", "user"])
def test_what_everybody_may_read_is_answered(manager: ConnectionManager, identity: Identity) -> None:
    with acting_as(identity):
        assert manager.run(Select("molecules")).source == "spare"


@pytest.mark.parametrize("identity", [None, SERVICE], ids=["application", "service"])
def test_the_application_itself_is_answered(manager: ConnectionManager, identity: Identity | None) -> None:
    with asking(identity):
        assert manager.run(Select("isthmus_users")).source == "spare"

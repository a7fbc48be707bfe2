"""Real faults between the adapter and a project: what was applied, and what the caller is told."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from database.backends.supabase import SupabaseAdapter
from database.core.errors import Conflict
from database.core.errors import ConnectFailed
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import OutcomeUnknown
from database.core.errors import SchemaMismatch
from database.core.errors import Unavailable
from database.core.operations import Call
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import QueryCall
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Where
from tests.contract.tables import thing
from tests.integration.supabase_http.conftest import Make
from tests.servers.network.faults import CutAfter
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Refuse
from tests.servers.network.faults import Reset
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import SupabaseApi

COMMIT = b"rpc/isthmus_commit"
MISSING = "alter function isthmus_groups(jsonb) rename to gone"
RESTORED = "alter function gone(jsonb) rename to isthmus_groups"


@pytest.fixture
def between(proxy: Callable[[int], FaultProxy], project: SupabaseApi) -> FaultProxy:
    """The proxy before the project."""
    return proxy(project.port)


@pytest.fixture
def remote(make: Make, adapter: SupabaseAdapter, project: SupabaseApi, between: FaultProxy) -> SupabaseAdapter:
    """An adapter behind the proxy, with a connection open; the table has one row."""
    adapter.run(Insert("things", [thing("first")]))
    remote = make(f"http://127.0.0.1:{between.port}", project.service_key)
    assert stored(remote) == ["first"]
    return remote


def stored(adapter: SupabaseAdapter) -> list[str]:
    return [row["id"] for row in adapter.run(Select("things")).rows]


def test_nobody_listens(remote: SupabaseAdapter, between: FaultProxy) -> None:
    with between.suffering(Refuse()):
        for _ in range(2):
            with pytest.raises(ConnectFailed):
                stored(remote)
        with pytest.raises(ConnectFailed):
            remote.run(Insert("things", [thing("second")]))
    assert stored(remote) == ["first"]


def test_connections_are_reset(remote: SupabaseAdapter, between: FaultProxy) -> None:
    with between.suffering(Reset()):
        with pytest.raises(Unavailable):
            stored(remote)
        with pytest.raises((ConnectFailed, OutcomeUnknown)):
            remote.run(Insert("things", [thing("second")]))
    assert stored(remote) == ["first"]


@pytest.mark.parametrize("size", [10, 200, 500])
def test_an_answer_is_cut(remote: SupabaseAdapter, between: FaultProxy, size: int) -> None:
    remote.run(Insert("things", [thing(f"n{n}", title="x" * 50) for n in range(20)]))
    with between.suffering(CutAfter(size)), pytest.raises(Unavailable):
        stored(remote)
    assert len(stored(remote)) == 21


def test_the_answer_to_a_commit_is_lost(remote: SupabaseAdapter, between: FaultProxy) -> None:
    with between.suffering(LoseReply(COMMIT)), pytest.raises(OutcomeUnknown):
        remote.run(Insert("things", [thing("second")]))
    assert stored(remote) == ["first", "second"]


def test_a_lost_commit_is_sent_again_and_applied_once(
    make: Make, remote: SupabaseAdapter, project: SupabaseApi, between: FaultProxy
) -> None:
    patient = make(f"http://127.0.0.1:{between.port}", project.service_key, retry_count=5)

    class _LoseFirst(LoseReply):
        """Only the first of them."""

        async def request(self, link: object, data: bytes) -> None:
            await super().request(link, data)  # type: ignore[arg-type]
            if COMMIT in data:
                self._request = b"\0"

    with between.suffering(_LoseFirst(COMMIT)):
        patient.run(Update("things", {"rank": 1}, id="first"))
    row = patient.get("things", "first")
    assert row is not None
    assert (row["rank"], row["version"]) == (1, 2)


def test_idle_connections_that_have_died_are_noticed(remote: SupabaseAdapter, between: FaultProxy) -> None:
    for _ in range(3):
        between.kill_connections()
        assert stored(remote) == ["first"]


def test_a_transaction_that_lost_a_race(adapter: SupabaseAdapter, make: Make, project: SupabaseApi) -> None:
    other = make(project.url, project.service_key)
    adapter.run(Insert("things", [thing("a")]))
    transaction = adapter.begin_transaction()
    transaction.run(adapter, Get("things", "a"))
    other.run(Update("things", {"rank": 1}, id="a"))
    transaction.run(adapter, Update("things", {"rank": 2}, id="a"))
    with pytest.raises(Conflict):
        transaction.commit()
    assert adapter.run(Get("things", "a")).rows[0]["rank"] == 1


def test_the_row_that_broke_a_constraint(adapter: SupabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", code="x")]))
    with pytest.raises(ConstraintViolated) as violated:
        adapter.run(Insert("things", [thing("b"), thing("c", code="x")]))
    assert (violated.value.kind, violated.value.row) == (ConstraintKind.UNIQUE, 1)
    with pytest.raises(ConstraintViolated) as violated:
        adapter.run(Insert("parts", [{"id": "p", "thing_id": "nowhere"}]))
    assert violated.value.kind is ConstraintKind.FOREIGN_KEY
    assert violated.value.row == 0


def test_a_missing_function_of_our_own(
    adapter: SupabaseAdapter, project: SupabaseApi, database: PostgresDatabase
) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(MISSING)
        project.reload()
        try:
            with pytest.raises(SchemaMismatch, match="flask db supabase-sql"):
                adapter.run(Select("things", where=Where("data", "contains", {"a": 1})))
        finally:
            connection.execute(RESTORED)
            project.reload()


def test_a_missing_function_of_the_caller(adapter: SupabaseAdapter) -> None:
    with pytest.raises(NotFound, match="nothing_of_the_kind"):
        adapter.run(Call("nothing_of_the_kind", {"a": 1}))


def test_functions_are_called(adapter: SupabaseAdapter, project: SupabaseApi, database: PostgresDatabase) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("create function doubled(n bigint) returns bigint language sql return n * 2")
        connection.execute("create function refused() returns int language sql return 1 / 0")
    project.reload()
    assert adapter.run(Call("doubled", {"n": 21})).value == 42
    assert adapter.run(QueryCall("doubled", {"n": 4})).value == 8
    with pytest.raises(InvalidQuery):
        adapter.run(Call("refused", {}))


def test_a_client_that_was_closed_meanwhile_is_no_bug(make: Make, project: SupabaseApi) -> None:
    adapter = make(project.url, project.service_key)
    adapter.backend.client.close()
    with pytest.raises(Unavailable, match="disconnected"):
        stored(adapter)
    with pytest.raises(Unavailable, match="disconnected"):
        adapter.run(Insert("things", [thing("a")]))


def test_a_project_that_is_closed_and_opened_again(adapter: SupabaseAdapter) -> None:
    assert adapter.connect()
    assert adapter.disconnect()
    assert stored(adapter) == []

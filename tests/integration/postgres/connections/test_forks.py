"""A forked child has connections of its own, and its parent keeps the ones it had."""

from __future__ import annotations

from database.backends.postgres import PostgresAdapter
from database.core.context import NO_CONTEXT
from database.core.operations import Get
from database.core.operations import Insert
from tests.contract.tables import thing
from tests.integration.forks import answer_of_child
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase


def test_a_child_and_its_parent_do_not_share_a_connection(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, min_connections=2)
    adapter.run(Insert("things", [thing("before")]))
    process = adapter.execute_query("select pg_backend_pid() as pid")
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("parent")]), NO_CONTEXT)
    assert answer_of_child(lambda: _work(adapter)) == "before,child"
    assert transaction.execute(Get("things", "parent", ("id",)), NO_CONTEXT).rows == [{"id": "parent"}]
    transaction.commit()
    assert adapter.get_connection_info()["active_transactions"] == 0
    assert [row["id"] for row in adapter.table("things").execute()] == ["before", "child", "parent"]
    assert process[0]["pid"] in {row["pid"] for row in adapter.execute_query("select pid from pg_stat_activity")}


def _work(adapter: PostgresAdapter) -> str:
    with adapter.transaction():
        adapter.run(Insert("things", [thing("child")]))
    ids = ",".join(row["id"] for row in adapter.table("things").execute())
    adapter.disconnect()
    return ids

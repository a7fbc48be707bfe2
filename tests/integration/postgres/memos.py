"""Memos that belong to somebody, on a database with Supabase's roles, and what callers see of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from database.backends.postgres import PostgresAdapter
from database.columns import record_columns
from database.columns import text
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.query.filters import Where
from database.core.result import Row
from database.core.tables.schema import Schema
from database.resilience.repetition import repeated
from tests.contract.backends import supabase_database
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

ALICE = Identity("alice", "authenticated", {"app_metadata": {"role": "user"}})
BOB = Identity("bob", "authenticated")

metadata = sa.MetaData()
memos = sa.Table(
    "memos",
    metadata,
    *record_columns(),
    sa.Column("owner", text(), nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False, default=False),
)
declared = sa.MetaData()
for table in (
    memos,
    sa.Table("askers", sa.MetaData(), *record_columns(), sa.Column("asker", text()), sa.Column("uid", text())),
):
    table.to_metadata(declared)
SCHEMA = Schema.of(declared)

POLICIES = """
alter table memos enable row level security;
create policy own on memos to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create policy shared on memos for select to anon using (shared);
-- A view of the function itself would keep it from being replaced.
create function asker_uid() returns text language sql stable as 'select auth.uid()::text';
create view askers with (security_invoker) as
    select '1' as id, current_user::text as asker, asker_uid() as uid;
grant select on askers to anon, authenticated, service_role;
"""


def memo_database(server: PostgresServer) -> PostgresDatabase:
    """A new database where everybody has their own memos, and anyone sees the shared ones."""
    database = supabase_database(server)
    database.create(metadata)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(POLICIES)
    return database


def begin_anew(adapter: PostgresAdapter) -> None:
    """Leave Alice and Bob a memo each, and a shared one."""
    adapter.run(Delete("memos", where=Where("id", "is_null", False)))
    adapter.run(Insert("memos", [memo("a", ALICE), memo("b", BOB), memo("s", BOB, shared=True)]))


def memo(id: str, owner: Identity, **values: Any) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "owner": owner.subject, **values}


def seen(adapter: PostgresAdapter) -> list[str]:
    return [row["id"] for row in adapter.table("memos").select("id").execute()]


def who(adapter: PostgresAdapter) -> tuple[str, str | None]:
    (row,) = adapter.execute_query("select asker, uid from askers")
    return row["asker"], row["uid"]


def change_identities(adapter: PostgresAdapter, *, threads: int, rounds: int) -> None:
    """Let each thread change its identity all the time, and see that everybody sees and changes only their own."""
    users = [Identity(f"user{number}", "authenticated") for number in range(5)]
    ready = Barrier(threads)

    def work(thread: int) -> None:
        ready.wait(timeout=20)
        for turn in range(rounds):
            user, other = users[(thread + turn) % 5], users[(thread + turn + 1) % 5]
            with acting_as(user):
                adapter.run(Insert("memos", [memo(f"{thread}-{turn}-1", user)]))
                _assert_only_own(adapter, user)
            with acting_as(ANONYMOUS):
                assert seen(adapter) == ["s"]
            # Each looks at the whole table while others write into it.
            repeated(partial(_change_midway, adapter, memo(f"{thread}-{turn}-2", user), user, other))
            assert who(adapter) == ("service_role", None)

    with ThreadPoolExecutor(threads) as workers:
        for done in [workers.submit(work, number) for number in range(threads)]:
            done.result()
    for number, user in enumerate(users):
        with acting_as(user):
            own = {
                f"{t}-{n}-{k}" for t in range(threads) for n in range(rounds) for k in (1, 2) if (t + n) % 5 == number
            }
            assert set(seen(adapter)) == own


def _change_midway(adapter: PostgresAdapter, own: Row, user: Identity, other: Identity) -> None:
    with acting_as(user), adapter.transaction():
        adapter.run(Insert("memos", [own]))
        with acting_as(other):
            _assert_only_own(adapter, other)
        with pytest.raises(PermissionDenied), adapter.transaction(), acting_as(other):
            adapter.run(Insert("memos", [memo("x", user)]))
        _assert_only_own(adapter, user)


def _assert_only_own(adapter: PostgresAdapter, user: Identity) -> None:
    assert who(adapter) == ("authenticated", user.subject)
    assert {row["owner"] for row in adapter.table("memos").execute()} <= {user.subject}

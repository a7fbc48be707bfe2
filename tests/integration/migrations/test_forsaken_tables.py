"""A table that a migration has made stays protected when it is not declared any more."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from database.backends.postgres import PostgresAdapter
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.declared import declared_schema
from database.declared import schema_of
from database.schema.migrations import runner
from database.schema.migrations import sql_script
from tests.integration.supabase_sql.support import become
from tests.servers.postgres import PostgresDatabase

SAMPLE = ("experiments", "molecules", "notes", "protocols")
USER = Identity("7d8f6f9e-0000-4000-8000-000000000001", "authenticated", {"app_metadata": {"role": "admin"}})
FOREIGN = """
create table others (id text primary key);
grant all on others to anon, authenticated;
insert into others values ('x');
"""


@pytest.fixture
def database(owner: PostgresAdapter) -> PostgresDatabase:
    """A project's database with the tables of all migrations, and one that somebody else has made."""
    runner.upgrade(owner)
    names = ("host", "port", "user", "password", "database")
    database = PostgresDatabase(**{name: owner.config[name] for name in names if name in owner.config})
    database.execute(FOREIGN)
    return database


@pytest.fixture
def successor(owner: PostgresAdapter, database: PostgresDatabase) -> Iterator[PostgresAdapter]:
    """The database's next application, which does not declare the tables any more, and has their migrations."""
    adapter = PostgresAdapter(owner.config, schema_of(sa.MetaData(), declared_schema().migrations), name="owner")
    yield adapter
    adapter.disconnect()


def refused(database: PostgresDatabase, identity: Identity, table: str) -> bool:
    statement = sql.SQL("select * from {}").format(sql.Identifier(table))
    with psycopg.connect(database.dsn) as connection:
        become(connection, identity)
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


def is_open(database: PostgresDatabase) -> dict[str, list[bool]]:
    """By table, whether the anonymous, users and the service get at it."""
    callers = (ANONYMOUS, USER, SERVICE)
    return {table: [not refused(database, one, table) for one in callers] for table in (*SAMPLE, "others")}


CLOSED = {**{table: [False, False, True] for table in SAMPLE}, "others": [True, True, True]}


def test_an_upgrade_closes_it_and_a_check_tells(successor: PostgresAdapter, database: PostgresDatabase) -> None:
    lines = runner.check(successor)
    assert "molecules: policy isthmus_select is not declared" in lines
    assert "molecules: grant of select to anon is not declared" in lines
    assert not any("others" in line for line in lines)
    runner.upgrade(successor, always=True)
    assert runner.check(successor) == []
    assert is_open(database) == CLOSED
    database.execute("alter table notes disable row level security; grant select on notes to anon")
    assert runner.check(successor) == [
        "notes: row level security is not enabled",
        "notes: grant of select to anon is not declared",
    ]


def test_the_script_closes_it(successor: PostgresAdapter, database: PostgresDatabase) -> None:
    for _ in range(2):
        database.execute(sql_script.supabase_script(successor.schema))
    assert runner.check(successor) == []
    assert is_open(database) == CLOSED
    # One that is gone is no fault.
    database.execute("drop table experiments, molecules")
    database.execute(sql_script.supabase_script(successor.schema))
    runner.upgrade(successor, always=True)
    assert runner.check(successor) == []

"""The policies that are made from the tables' access rules judge as the data layer does, each without the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from database.backends.memory import MemoryAdapter
from database.columns import text
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import ConstraintViolated
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.tables.schema import Schema
from database.schema.migrations import row_security
from tests.contract.backends import supabase_database
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

metadata = sa.MetaData()
ACCESS: dict[str, dict[str, Any]] = {
    "nobody": {},
    "anyone": dict.fromkeys(("read", "write", "delete"), "anyone"),
    "user": dict.fromkeys(("read", "write", "delete"), "user"),
    "owner": dict.fromkeys(("read", "write", "delete"), "owner"),
    "editor": dict.fromkeys(("read", "write", "delete"), "editor"),
    "permission": dict.fromkeys(("read", "write", "delete"), "permission:t:write"),
    "own_to_read": {"read": "owner", "write": "user", "delete": "user"},
    "own_to_change": {"read": "anyone", "write": "owner", "delete": "permission:t:delete"},
    "write_only": {"write": "user"},
    "or_editor": {action: ["owner", "role:editor"] for action in ("read", "write", "delete")},
    "or_either": {"read": ["owner", "role:editor", "permission:t:read"], "write": ["owner", "permission:t:write"]},
    "any_of_all": {"read": ["owner", "anyone"], "write": ["role:editor", "user"], "delete": ["owner"]},
}
TABLES = [f"t_{name}" for name in ACCESS]
for _name, _access in ACCESS.items():
    sa.Table(
        f"t_{_name}",
        metadata,
        sa.Column("id", text(255), primary_key=True),
        sa.Column("owner", text()),
        sa.Column("name", text()),
        info={"access": _access, **({"owner": "owner"} if "owner" in str(_access) else {})},
    )

ROWS: list[dict[str, str | None]] = [
    {"id": "a", "owner": "ada", "name": "x"},
    {"id": "b", "owner": "bob", "name": "x"},
    {"id": "n", "owner": None, "name": "x"},
    {"id": "e", "owner": "", "name": "x"},
]


def user(subject: str | None = "ada", **app_metadata: Any) -> Identity:
    return Identity(subject, "authenticated", {"app_metadata": app_metadata})


CALLERS = {
    "anonymous": ANONYMOUS,
    "anonymous with a name": Identity("ada", "anon", {"app_metadata": {"role": "admin"}}),
    "service": SERVICE,
    "user": user(role="user"),
    "nobody": user(None),
    "empty": user(""),
    "editor": user(role="editor"),
    "admin": user(role="admin"),
    "writer": user(permissions=["t:write"]),
    "all of t": user(permissions=["x:y", "t:*"]),
    "all writing": user(permissions=["*:write"]),
    "all": user(permissions=["*"]),
    "all, twice": user(permissions=["*:*"]),
    "other": user(permissions=["t:writer", "T:write", "t", "write", "x:write"]),
    "a text": user(permissions="t:write"),
    "an object": user(permissions={"t:write": True}),
    "no objects": Identity("ada", "authenticated", {"app_metadata": "admin"}),
    "elsewhere": Identity("ada", "authenticated", {"role": "editor", "permissions": ["*"]}),
}
EVERY = Where("id", "is_null", False)


def attempts(table: str) -> dict[str, tuple[str, Operation]]:
    """By name: SQL for the server, and the same as an operation of the data layer."""
    own, other = {"id": "1", "owner": "ada"}, {"id": "2", "owner": "bob"}
    upsert = "insert into {} values ('%s', 'ada', 'y') on conflict (id) do update set name = 'y', owner = 'ada'"
    return {
        "read": ("select id from {}", Select(table, ("id",))),
        "update": (
            "update {} set name = 'y' where id is not null returning id",
            Update(table, {"name": "y"}, where=EVERY),
        ),
        "give": ("update {} set owner = 'bob' where id = 'a' returning id", Update(table, {"owner": "bob"}, "a")),
        "delete": ("delete from {} where id is not null returning id", Delete(table, where=EVERY, returning=True)),
        "insert": ("insert into {} values ('1', 'ada')", Insert(table, [own], returning=False)),
        "insert for": ("insert into {} values ('2', 'bob')", Insert(table, [other], returning=False)),
        "upsert": (upsert % "a", Upsert(table, [{"id": "a", "owner": "ada", "name": "y"}], returning=False)),
        "upsert of": (upsert % "b", Upsert(table, [{"id": "b", "owner": "ada", "name": "y"}], returning=False)),
    }


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    database = supabase_database(postgres_server)
    database.create(metadata)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for table in metadata.sorted_tables:
            for statement in row_security.table_statements(table):
                connection.execute(statement.encode())
            for row in ROWS:
                insert = sql.SQL("insert into {} values (%s, %s, %s)").format(sql.Identifier(table.name))
                connection.execute(insert, list(row.values()))
    yield database
    postgres_server.drop_database(database)


def answered_by_server(connection: psycopg.Connection[Any], caller: Identity, statement: str, table: str) -> list[str]:
    """What the server alone does for a caller, whose token PostgREST has checked."""
    claims = orjson.dumps({**caller.claims, "role": caller.role, "sub": caller.subject}).decode()
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(caller.role)))
        connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        try:
            with connection.transaction():
                cursor = connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
        except psycopg.errors.InsufficientPrivilege:
            return []
        return sorted(row[0] for row in cursor) if cursor.description else ["done"] * cursor.rowcount


def answered_by_data_layer(caller: Identity, operation: Operation) -> list[str]:
    """What the data layer does for a caller on a backend that has no rules of its own."""
    adapter = MemoryAdapter(schema=Schema.of(metadata))
    for table in TABLES:
        adapter.run(Insert(table, ROWS))
    try:
        with acting_as(caller):
            result = adapter.run(operation)
    except (PermissionDenied, ConstraintViolated):
        return []
    if isinstance(operation, Insert | Upsert):
        return ["done"] * (result.count or 0)
    return sorted(row["id"] for row in result.rows)


@pytest.mark.parametrize("table", TABLES)
def test_both_give_the_same_answer_to_every_caller(database: PostgresDatabase, table: str) -> None:
    judged = 0
    with psycopg.connect(database.dsn) as connection:
        for name, caller in CALLERS.items():
            for attempt, (statement, operation) in attempts(table).items():
                by_server = answered_by_server(connection, caller, statement, table)
                assert (name, attempt, by_server) == (name, attempt, answered_by_data_layer(caller, operation))
                judged += 1
    assert judged == len(CALLERS) * 8


@pytest.mark.parametrize(
    ("condition", "rows"),
    [("true", 4), ("owner = 'bob'", 1), ("pg_sleep(0) is not null", 4)],
)
def test_a_caller_reads_own_rows_whatever_they_ask_for(database: PostgresDatabase, condition: str, rows: int) -> None:
    statement = f"select id from {{}} where {condition}"  # the tests' own conditions
    with psycopg.connect(database.dsn) as connection:
        assert len(answered_by_server(connection, SERVICE, statement, "t_owner")) == rows
        assert set(answered_by_server(connection, CALLERS["user"], statement, "t_owner")) <= {"a"}

"""Commits as the HTTP interface makes them: one transaction each, with the caller's role and claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg import sql
from uuid_utils import uuid4

from database.backends.supabase.rows import exact
from database.core.context import SERVICE
from database.core.context import Identity
from tests.contract.tables import SCHEMA
from tests.servers.postgres import PostgresDatabase

Wire = dict[str, Any]

ALICE = Identity("0198c5d2-0000-7000-8000-00000000000a", "authenticated")
BOB = Identity("0198c5d2-0000-7000-8000-00000000000b", "authenticated")

_MOMENT = "2024-01-01T00:00:00.000001+00:00"
BY_ID: list[Wire] = [{"column": "id", "descending": False, "nulls_first": False}]


class RefusedError(Exception):
    """A call that the database refused.

    :ivar state: the SQLSTATE.
    :ivar detail: the JSON of the error's detail, or None.
    """

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(error.diag.message_primary)
        self.state = error.sqlstate
        self.message = error.diag.message_primary or ""
        text = error.diag.message_detail
        self.detail = json.loads(text) if text and text.startswith("{") else None


@dataclass(frozen=True, slots=True)
class Project:
    """A database with the functions, as its callers see it."""

    database: PostgresDatabase

    def call(self, function: str, request: Any, identity: Identity = SERVICE) -> Any:
        """Call a function with one JSON argument in a transaction of its own. :raises RefusedError: it failed."""
        statement = sql.SQL("select {}(%s::jsonb)::text").format(sql.Identifier(function))
        try:
            with psycopg.connect(self.database.dsn) as connection:
                become(connection, identity)
                found = connection.execute(statement, [json.dumps(request)]).fetchone()
        except psycopg.Error as error:
            raise RefusedError(error) from error
        assert found is not None
        return None if found[0] is None else exact(found[0].encode())

    def commit(self, *, identity: Identity = SERVICE, **parts: Any) -> Any:
        """Make a commit, sent as the adapter sends it: as JSON text in JSON."""
        return self.call("isthmus_commit", json.dumps(request(**parts)), identity)

    def rows(self, table: str = "things", identity: Identity = SERVICE) -> list[Wire]:
        """All rows of a table as JSON, by their first column."""
        statement = sql.SQL("select to_jsonb(t.*) from {} as t order by t").format(sql.Identifier(*table.split(".")))
        with psycopg.connect(self.database.dsn) as connection:
            become(connection, identity)
            return [row for (row,) in connection.execute(statement)]

    def execute(self, statement: str) -> None:
        """Run SQL as the owner."""
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())


@dataclass(frozen=True, slots=True)
class Race:
    """Commits that as many threads make at the same moment."""

    project: Project
    commits: Sequence[Wire]

    def run(self) -> list[str]:
        """How each ended: ``applied``, ``replayed`` or a SQLSTATE, sorted."""
        ready = Barrier(len(self.commits))

        def work(parts: Wire) -> str:
            ready.wait(timeout=20)
            try:
                answer = self.project.commit(**parts)
            except RefusedError as error:
                return str(error.state)
            return "replayed" if answer["replayed"] else "applied"

        with ThreadPoolExecutor(len(self.commits)) as workers:
            return sorted(workers.map(work, self.commits))


def become(connection: psycopg.Connection[Any], identity: Identity) -> None:
    """Act as PostgREST does for a token."""
    claims = json.dumps({"role": identity.role, "sub": identity.subject, **identity.claims})
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(identity.role)))
    connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])


def request(**parts: Any) -> Wire:
    """A commit request with a key of its own, unless one is given."""
    empty: Wire = {"reads": [], "ranges": [], "steps": []}
    return {"key": str(uuid4()), "fingerprint": "f", "actor": None, **empty, **parts}


def thing(id: str, **values: Any) -> Wire:  # noqa: A002
    """A whole row of ``things``."""
    stamps = {"created_at": _MOMENT, "updated_at": _MOMENT, "version": 1}
    empty = {name: None for name, column in SCHEMA.table("things").columns.items() if column.nullable}
    return {"id": id, **stamps, "label": id, "rank": 0, **empty, **values}


def part(id: str, thing_id: str) -> Wire:  # noqa: A002
    """A whole row of ``parts``."""
    stamps = {"created_at": _MOMENT, "updated_at": _MOMENT, "version": 1}
    return {"id": id, **stamps, "thing_id": thing_id, "name": None}


def insert(row: Wire, table: str = "things") -> Wire:
    return {"kind": "insert", "table": table, "id": row["id"], "row": row}


def update(row: Wire, table: str = "things") -> Wire:
    return {"kind": "update", "table": table, "id": row["id"], "row": row}


def delete(id: str, table: str = "things") -> Wire:  # noqa: A002
    return {"kind": "delete", "table": table, "id": id, "row": None}


def read(row: Wire, table: str = "things") -> Wire:
    """A record that was read as ``row``."""
    return {"table": table, "id": row["id"], "expected": row}


def absent(id: str, table: str = "things") -> Wire:  # noqa: A002
    """A record that was not there."""
    return {"table": table, "id": id, "expected": None}


def ranged(expected: list[Wire], *, table: str = "things", **parts: Any) -> Wire:
    """A query that gave ``expected``; by default for all rows by id."""
    return {"table": table, "where": None, "order": BY_ID, "limit": None, "expected": expected, **parts}


def where(column: str, op: str, value: Any) -> Wire:
    """One comparison."""
    return {"op": op, "column": column, "value": value}


def wait_for_a_waiting_session(project: Project) -> None:
    """Wait until somebody waits for a lock in the project's database."""
    query = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    pause = Event()
    with psycopg.connect(project.database.dsn, autocommit=True) as connection:
        for _ in range(600):
            if connection.execute(query).fetchone():
                return
            pause.wait(0.02)
    pytest.fail("no session waits for a lock")

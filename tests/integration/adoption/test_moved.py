"""A database of somebody else, served over HTTP under its own policies, moved to other backends by sync, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.postgres import PostgresAdapter
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import PermissionDenied
from database.core.operations import Insert
from database.core.operations import Select
from database.core.result import Row
from database.schema.adoption.installing import install_changes
from database.schema.migrations import runner
from database.sync import SyncManager
from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import Project
from tests.integration.adoption.conftest import caller
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import on_postgres
from tests.integration.adoption.conftest import rows
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi

ADA = "0198c5d2-0000-7000-8000-00000000000a"
BOB = "0198c5d2-0000-7000-8000-00000000000b"
TABLES = (
    "members", "rooms", "tools", "loans", "parts", "shelves", "readings", "prices", "bookings", "words",
)  # fmt: skip


@dataclass
class Workshop:
    """The project of it, served over HTTP."""

    site: Site
    project: SupabaseApi

    @property
    def adapters(self) -> tuple[DatabaseAdapter, DatabaseAdapter]:
        """The project over HTTP, and the SQLite file."""
        return self.site.manager.adapters["supabase"], self.site.manager.adapters["local"]

    def identity(self, subject: str) -> Identity:
        claims = {"sub": subject, "role": "authenticated"}
        return Identity(subject, "authenticated", claims, self.project.user_token(subject))

    def headers(self, subject: str) -> Headers:
        return caller(self.site, subject)


@pytest.fixture
def workshop(supabase: PostgresDatabase, project: MakeProject, tmp_path: Path) -> Iterator[Workshop]:
    load(supabase, "supabase_auth")
    order = {"DB_ADAPTER_ORDER": "supabase,local", "LOCAL_DB_PATH": tmp_path / "copy.db"}
    made = project(**{**on_postgres(supabase), **order})
    # A project has its function for who asks before it has policies.
    with available(SupabaseApi, supabase) as api:
        load(supabase, "workshop", "workshop_rows")
        _install(made)
        api.reload()
        made.settings = {
            **order,
            "SUPABASE_URL": api.url,
            "SUPABASE_KEY": api.service_key,
            "SUPABASE_ANON_KEY": api.anon_key,
            "JWT_ALGORITHM": "HS256",
            "JWT_SECRET": api.jwt_secret,
        }
        site = made.site()
        yield Workshop(site, api)
        site.close()


def _install(made: Project) -> None:
    """Adopt the database, and ask for everything that sync needs."""
    report = made.adopt("--read", "user", "--write", "user", "--delete", "user")
    assert report.count(": usable") >= len(TABLES), report
    # What a database calculates is not copied: the other ones have no such column.
    lines = made.file.read_text().splitlines(keepends=True)
    made.file.write_text("".join(line for line in lines if "# generated: " not in line))
    made.declare()
    for command in (
        ("upgrade",), ("install", "tables", "--database", "local"), ("install", "changes"),
    ):  # fmt: skip
        done = made.run(*command)
        assert done.exit_code == 0, done.output


def _stored(database: PostgresDatabase) -> dict[str, list[str]]:
    """Every row as PostgreSQL writes it."""
    with psycopg.connect(database.dsn) as connection:
        connection.execute("set timezone = 'UTC'")
        return {
            name: sorted(row for (row,) in connection.execute(f"select t::text from {name} t".encode()))
            for name in TABLES
        }


def _contents(adapter: DatabaseAdapter) -> dict[str, list[Row]]:
    with as_application():
        return {name: adapter.run(Select(name)).rows for name in TABLES}


def _sync(first: DatabaseAdapter, second: DatabaseAdapter, numbers: str) -> None:
    manager = SyncManager(first, second, sync_tables=TABLES, sync_numbers=numbers)  # type: ignore[arg-type]
    assert manager.sync_all(), manager.get_sync_status()["failures"]


def _write(workshop: Workshop) -> None:
    """Two users write over HTTP, by ``table()`` and by SQL, each what the policies permit."""
    site, as_ada, as_bob = workshop.site, workshop.headers(ADA), workshop.headers(BOB)
    tool = site.post("/api/tools", {"owner": ADA, "price": "5.0001", "state": "used"}, as_ada)
    assert (tool.status_code, tool.json["id"]) == (201, 4), tool.text
    assert '"price":5.0001' in tool.text
    assert site.post("/api/tools", {"owner": ADA}, as_bob).status_code == 403
    assert site.post("/api/tools", {"id": 50, "owner": ADA}, as_ada).status_code == 422
    loan = site.post("/api/loans", {"tool_id": tool.json["id"], "borrower": BOB, "spare": "P1D"}, as_bob)
    assert (loan.status_code, loan.json["id"]) == (201, 3), loan.text
    assert [row["id"] for row in rows(site.get("/api/tools?order=id", as_ada))] == [1, 3, 4]
    assert [row["id"] for row in rows(site.get("/api/tools", as_bob))] == [2]
    assert site.call("PATCH", "/api/tools/1", {"price": "7"}, as_bob).status_code == 404
    assert site.call("PATCH", "/api/shelves/attic,-1", {"amount": 8}, as_bob).json["amount"] == 8
    database = site.manager
    with acting_as(workshop.identity(ADA)):
        loans = database.table("loans").insert([{"tool_id": 1, "borrower": ADA}] * 2).execute().rows
        assert [row["id"] for row in loans] == [4, 5]
        database.execute_query("insert into tools (owner, price) values (%s, %s)", [ADA, Decimal("0.5")])
        assert database.execute_query("select id, price from tools where id > 4") == [
            {"id": 6, "price": Decimal("0.5000")}
        ]
    with acting_as(workshop.identity(BOB)):
        assert database.table("tools").select("id").execute().rows == [{"id": 2}]
        with pytest.raises(PermissionDenied):
            database.execute_query("insert into loans (tool_id, borrower) values (1, %s)", [ADA])


def _number(adapter: DatabaseAdapter, table: str, **row: object) -> int:
    with as_application():
        made = adapter.run(Insert(table, [row])).rows[0]
    return int(made[adapter.schema.table(table).key[0]])


def test_a_database_is_served_moved_and_brought_back(
    workshop: Workshop, supabase: PostgresDatabase, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    _write(workshop)
    project, local = workshop.adapters
    schema = workshop.site.manager.schema
    with ExitStack() as closing:
        deployment = closing.enter_context(available(ConvexDeployment, functions_with(schema, tmp_path)))
        back = closing.enter_context(postgres_server.database())
        config = {"url": deployment.url, "key": deployment.deploy_key}
        # The application before and after the move.
        before, after = (ConvexAdapter(config, schema, "convex") for _ in range(2))
        returned = PostgresAdapter(asdict(back), schema, "returned")
        for adapter in (before, after, returned):
            closing.callback(adapter.disconnect)

        _sync(project, local, "first")
        assert _contents(local) == _contents(project)
        _sync(local, before, "first")
        assert _contents(before) == _contents(local)

        # From now on Convex makes the numbers.
        assert _number(after, "tools", owner=ADA) == 7
        assert _number(after, "loans", tool_id=7, borrower=BOB) == 6
        assert _number(after, "parts", label="washer") == 3
        assert _number(after, "bookings", room="attic") > 110
        _sync(local, after, "second")
        _sync(project, local, "second")
        assert _contents(project) == _contents(after)

        back.execute("create schema auth; create function auth.uid() returns uuid return null::uuid")
        load(back, "workshop")
        runner.upgrade(returned)
        install_changes(returned)
        _sync(after, returned, "first")
        assert _stored(back) == _stored(supabase)
        for database in (back, supabase):
            database.execute(f"insert into tools (owner) values ('{ADA}'); insert into parts (label) values ('cog')")
        assert _stored(back)["tools"][-1].startswith("(8,")

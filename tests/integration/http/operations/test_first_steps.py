"""Before the first request, and with a table that has no migration."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.operations import auto_migration
from app import create_app
from config.settings import ConfigurationError
from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.backends.faulty import FaultyAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.columns import OWN_ROWS
from database.columns import text
from database.core.context import as_application
from database.extension import Isthmus
from database.schema.migrations import presence
from database.schema.migrations import runner
from database.schema.migrations.failures import TableInTheWay
from tests.integration.http.support import CHEAP
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import making_sites
from tests.integration.http.support import supabase_settings
from tests.integration.migrations.declaring import declared
from tests.integration.migrations.declaring import declaring
from tests.servers.postgres import PostgresDatabase


@pytest.fixture(autouse=True)
def _own(own_environment: None) -> None:
    """No settings from outside, in an empty folder."""


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


READING = ["--help", "routes", "db check", "db current", "auth keys", "auth --help", "sync status", "db supabase-sql"]


@pytest.mark.parametrize("command", READING)
def test_a_command_that_reads_makes_no_file(tmp_path: Path, command: str) -> None:
    app = create_app(load_settings(None))
    app.cli.name = "flask"
    done = app.test_cli_runner().invoke(args=command.split())
    assert not isinstance(done.exception, Exception), repr(done.exception)  # an exit is none
    assert made(tmp_path) == []


@pytest.mark.parametrize("command", READING)
def test_a_command_that_reads_makes_no_table(postgres_database: PostgresDatabase, command: str) -> None:
    settings = {**supabase_settings(postgres_database), "DB_ADAPTER_ORDER": "supabase", "JWT_SECRET": "s" * 40}
    app = create_app(load_settings(None, **settings))
    app.test_cli_runner().invoke(args=command.split())
    Isthmus.of(app).manager.disconnect()
    adapter = PostgresAdapter({**_config(postgres_database)})
    assert adapter.execute_query("select relname from pg_class where relnamespace = 'public'::regnamespace") == []
    adapter.disconnect()


def test_the_first_request_makes_the_tables_and_the_keys(tmp_path: Path) -> None:
    app = create_app(load_settings(None))
    assert made(tmp_path) == []
    assert Site(app).get("/livez").status_code == 200
    assert made(tmp_path) == []
    site = Site(app)
    assert site.post("/api/molecules", {"name": "x"}, site.register()).status_code == 201
    assert {"isthmus.db", "keyring.json"} <= set(made(tmp_path))
    site.close()


def test_readiness_is_reached_without_another_request() -> None:
    site = Site(create_app(load_settings(None)))
    assert site.get("/readyz").status_code == 200
    assert runner.current(site.manager.adapters["local"]) is not None
    site.close()


def test_a_refusal_to_migrate_stops_no_request(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(create_app(load_settings(None, DB_AUTO_MIGRATE=True)))
    with as_application():
        site.manager.execute_query("create table notes (id text primary key)")
    assert_problem(site.get("/api/molecules"), 503)
    assert "creates table notes" in caplog.text
    with pytest.raises(TableInTheWay):
        auto_migration.start(Site(create_app(load_settings(None, DB_AUTO_MIGRATE=True))).app)
    site.close()


def test_a_database_that_others_made_is_migrated_by_a_command_only(
    postgres_database: PostgresDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    postgres_database.execute("create table letters (id text primary key)")
    site = Site(create_app(load_settings(None, **supabase_settings(postgres_database))))
    auto_migration.start(site.app)
    assert "supabase: its migrations are not applied, because others made its tables" in caplog.text
    assert "supabase: off until then: accounts, sessions, idempotency keys, two-way sync" in caplog.text
    supabase, local = site.manager.adapters.values()
    assert (runner.current(supabase), bool(runner.current(local))) == ([], True)
    site.close()
    done = site.app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert done.exit_code == 0, done.output
    again = Site(create_app(load_settings(None, **supabase_settings(postgres_database))))
    caplog.clear()
    auto_migration.start(again.app)
    assert again.register()
    assert "not applied" not in caplog.text
    again.close()


def test_production_migrates_postgresql_by_a_command_only(
    postgres_database: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**supabase_settings(postgres_database), "ENVIRONMENT": "production"}
    settings |= {"JWT_SECRET": "k7Jx0Qm2Vt9Lw4Rz8Bn6Hc1Df5Gs3Pa0Ye", "SUPABASE_DB_SSLMODE": "prefer"}
    for asked, wanted in ({}, False), ({"DB_AUTO_MIGRATE": "true"}, True):
        site = Site(create_app(load_settings(None, **settings, **asked)))
        auto_migration.start(site.app)
        supabase, local = site.manager.adapters.values()
        assert (bool(runner.current(supabase)), bool(runner.current(local))) == (wanted, True)
        site.close()
    assert "supabase: its migrations are not applied, because this is production" in caplog.text


@pytest.fixture(params=["sqlite", "supabase"])
def unmigrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The application with a table of which no migration knows, and a column."""
    settings: dict[str, Any] = {}
    if request.param == "supabase":
        settings = {**supabase_settings(request.getfixturevalue("postgres_database")), "DB_ADAPTER_ORDER": "supabase"}
    orders = declared("orders", sa.Column("owner_id", text(255), nullable=False), access=OWN_ROWS, owner="owner_id")
    molecules = declared("molecules", sa.Column("name", text(), nullable=False), sa.Column("colour", text()))
    with declaring(orders, molecules), making_sites(tmp_path, **settings) as make:
        yield make()


def test_a_table_without_a_migration_takes_no_other_with_it(unmigrated: Site) -> None:
    user = unmigrated.register()
    assert unmigrated.post("/api/protocols", {"name": "p"}, user).status_code == 201
    answers = [unmigrated.get("/api/orders", user), unmigrated.get("/api/orders/x", user)]
    for answer in answers:
        problem = assert_problem(answer, 503)
        assert "orders" in problem["detail"]
        assert "flask db upgrade" in problem["detail"]
    assert "colour" in assert_problem(unmigrated.get("/api/molecules"), 503)["detail"]
    adapter = unmigrated.manager.adapter
    assert presence.missing_tables(adapter) == ["orders"]
    assert presence.missing(adapter) == ["orders", "molecules.colour"]


def test_the_commands_name_what_has_no_migration(unmigrated: Site) -> None:
    cli = unmigrated.app.test_cli_runner()
    done = cli.invoke(args=["db", "upgrade"])
    assert done.exit_code == 0, done.output
    assert "table orders: no migration creates it; run `flask db revision MESSAGE`" in done.output
    assert "column molecules.colour: no migration creates it; run `flask db revision MESSAGE`" in done.output
    done = cli.invoke(args=["db", "check"])
    assert done.exit_code == 1
    assert "orders: is missing" in done.output


def test_the_start_names_what_has_no_migration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with declaring(declared("orders")), making_sites(tmp_path) as make, caplog.at_level(logging.WARNING):
        make()
        assert "local: table orders: no migration creates it" in caplog.text


@pytest.mark.parametrize("wrapped", [False, True])
def test_adapters_that_are_given_are_migrated(tmp_path: Path, wrapped: bool) -> None:
    inner = SQLiteAdapter({"path": str(tmp_path / "given.db")}, name="inner")
    adapter: DatabaseAdapter = FaultyAdapter(inner, config={"retry_count": 0}) if wrapped else inner
    app = create_app(load_settings(None, ENVIRONMENT="testing"), {"main": adapter}, CHEAP)
    site = Site(app)
    assert site.post("/api/molecules", {"id": "m", "name": "x"}, site.register()).status_code == 201
    if isinstance(adapter, FaultyAdapter):
        with adapter.faults.expected("refuse"):
            assert_problem(site.get("/api/molecules/m"), 503)
    assert site.get("/api/molecules/m").json["name"] == "x"
    with as_application():
        rows = inner.table("isthmus_users").execute().rows
    assert "m=8,t=1,p=1" in rows[0]["password_hash"]
    site.close()


def test_production_takes_no_hasher() -> None:
    settings = load_settings(
        None, ENVIRONMENT="production", JWT_SECRET="k7Jx0Qm2Vt9Lw4Rz8Bn6Hc1Df5Gs3Pa0Ye", DB_ADAPTER_ORDER="local"
    )
    with pytest.raises(ConfigurationError, match="password_hasher"):
        create_app(settings, password_hasher=CHEAP)


def _config(database: PostgresDatabase) -> dict[str, object]:
    fields = ("host", "port", "user", "password", "database")
    return {name: getattr(database, name) for name in fields}

"""Databases that are down: reads from the next one, no write anywhere else, and tables made for a late one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from database.core.context import as_application
from database.core.operations import Insert
from tests.integration.http.support import IMPATIENT
from tests.integration.http.support import MakeSite
from tests.integration.http.support import assert_problem
from tests.integration.http.support import making_sites
from tests.integration.http.support import supabase_settings
from tests.integration.http.support import wait_until
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import Fault
from tests.servers.network.faults import Refuse
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase


@pytest.fixture
def make(postgres_database: PostgresDatabase, between: FaultProxy, tmp_path: Path) -> Iterator[MakeSite]:
    settings = {**supabase_settings(postgres_database.at(between.port)), **IMPATIENT}
    breaker = {"SUPABASE_DB_CIRCUIT_BREAKER_THRESHOLD": 1, "SUPABASE_DB_CIRCUIT_BREAKER_TIMEOUT": 0}
    with making_sites(tmp_path, **settings, **breaker) as make:
        yield make


@pytest.mark.parametrize("fault", [Refuse, Blackhole])
def test_reads_are_answered_elsewhere_and_writes_are_not(
    make: MakeSite, between: FaultProxy, fault: type[Fault]
) -> None:
    site = make()
    user = site.register()
    assert site.post("/api/molecules", {"id": "m", "name": "there"}, user).status_code == 201
    with as_application():
        site.manager.adapters["local"].run_alone(Insert("molecules", [{"id": "m", "name": "here"}]))
    read = site.get("/api/molecules/m")
    assert read.json["name"] == "there"
    assert "X-Data-Source" not in read.headers

    with between.suffering(fault()):
        for path in ("/api/molecules/m", "/api/molecules?id=eq.m"):
            read = site.get(path)
            assert read.status_code == 200, read.text
            assert "here" in read.text
            assert read.headers["X-Data-Source"] == "local"
            assert int(read.headers["X-Data-Stale-Seconds"]) >= 0
        for method, place, body in (
            ("POST", "/api/molecules", {"name": "new"}),
            ("PATCH", "/api/molecules/m", {"name": "new"}),
            ("PUT", "/api/molecules/m", {"name": "new"}),
        ):
            answer = site.call(method, place, body, {**user, "Idempotency-Key": f"{method}-1"})
            assert assert_problem(answer, 503)["outcome"] == "not_applied"
            assert int(answer.headers["Retry-After"]) >= 1
        assert site.get("/readyz").status_code == 200
        assert site.get("/livez").status_code == 200
        with as_application():
            assert site.manager.adapters["local"].get("molecules", "m", ("name",)) == {"name": "here"}

    wait_until(site.manager.adapters["supabase"].connect, "the database is not found well again")
    assert site.call("PATCH", "/api/molecules/m", {"name": "again"}, user).status_code == 200
    assert site.get("/api/molecules/m").json["name"] == "again"


def test_a_database_that_is_late_is_migrated_when_it_comes(
    make: MakeSite, between: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    between.set(Refuse())
    site = make(DB_ADAPTER_ORDER="supabase")
    assert "supabase is not available, its migration is postponed" in caplog.text
    assert_problem(site.get("/api/molecules"), 503, "unavailable")
    assert site.get("/livez").status_code == 200
    between.heal()
    wait_until(site.manager.connect, "the database is not found well again")
    assert site.get("/api/molecules").json == {"data": [], "next_cursor": None}
    assert site.post("/api/molecules", {"name": "x"}, site.register()).status_code == 201


def test_a_start_without_the_first_database_goes_on_with_the_next(make: MakeSite, between: FaultProxy) -> None:
    between.set(Refuse())
    site = make(DB_FAILBACK_AFTER=60)
    assert site.get("/api/molecules").status_code == 200
    assert site.manager.active_adapter == "local"
    assert site.get("/status").json["degraded"] is True


def test_without_auto_migration_no_table_is_made(make: MakeSite) -> None:
    site = make(DB_AUTO_MIGRATE="false")
    assert site.get("/api/molecules").status_code >= 400
    result = site.app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert result.exit_code == 0, result.output
    assert site.get("/api/molecules").status_code == 200

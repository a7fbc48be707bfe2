"""The first database is away, at the start and later: nothing goes to the stand-in, and it is soon over.

With the defaults of the settings. The outages last ``OUTAGE_SECONDS``, "2" by default; "2,10,75" are those of a
restart, of a failover, and of one that is longer than a circuit breaker's open time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from threading import Thread
from time import monotonic
from typing import Any
from typing import Final
from uuid import uuid4

import apsw
import httpx
import psycopg
import pytest

from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.network.faults import Refuse
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import SupabaseApi
from tests.servers.supabase_api import prepare
from tests.simulation.served import ServedApp

MakeProxy = Callable[[int], FaultProxy]

OUTAGES: Final = [float(seconds) for seconds in os.environ.get("OUTAGE_SECONDS", "2").split(",")]
BACK_WITHIN: Final = 3.0 if "OUTAGE_SECONDS" in os.environ else 20.0
"""Seconds. What is promised is shown where nothing else runs."""

WORKERS: Final = 4
CONNECTIONS: Final = 24
"""New ones go to any process; of so many, every process gets one."""


class Site:
    """A served application with its clients.

    :ivar acknowledged: the ids of the records that were said to be created.
    """

    def __init__(self, app: ServedApp) -> None:
        self.acknowledged: list[str] = []
        self._url = f"{app.url}/api/molecules"
        self._headers = {"Authorization": f"Bearer {app.token()}"}

    def create(self) -> httpx.Response:
        """Try to create a record, on a new connection."""
        record_id = str(uuid4())
        answer = httpx.post(self._url, json={"id": record_id, "name": "x"}, headers=self._headers, timeout=30)
        if answer.status_code == 201:
            self.acknowledged.append(record_id)
        return answer

    def read(self, record_id: str) -> httpx.Response:
        """Ask for a record, on a new connection."""
        return httpx.get(f"{self._url}/{record_id}", timeout=30)

    def read_last(self) -> httpx.Response:
        """Ask for the last record that was acknowledged."""
        return self.read(self.acknowledged[-1])

    def everywhere(self, ask: Callable[[], httpx.Response]) -> list[httpx.Response]:
        """The answers of all processes."""
        with ThreadPoolExecutor(8) as clients:
            return list(clients.map(lambda _: ask(), range(CONNECTIONS)))

    def seconds_until_back(self) -> float:
        """How long it takes from now until every process takes writes and reads the first database again."""
        began = monotonic()
        while not self._is_back():
            assert monotonic() - began < BACK_WITHIN, "the application does not come back"
            Event().wait(0.05)
        return monotonic() - began

    def _is_back(self) -> bool:
        if self.create().status_code != 201:
            return False
        written = self.everywhere(self.create)
        read = self.everywhere(self.read_last)
        return all(answer.status_code == 201 for answer in written) and all(
            answer.status_code == 200 and "X-Data-Source" not in answer.headers for answer in read
        )


@contextmanager
def writing(site: Site) -> Iterator[None]:
    """Clients that create records all the time."""
    ending = Event()

    def work() -> None:
        while not ending.wait(0.2):
            site.create()

    clients = [Thread(target=work) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        ending.set()
        for client in clients:
            client.join()


def rows_of_the_stand_in(path: Path) -> dict[str, int]:
    """How many rows each of its tables has."""
    connection = apsw.Connection(str(path))
    tables = [str(name) for (name,) in connection.execute("select name from sqlite_schema where type = 'table'")]
    counts = {name: len(connection.execute(f'select 1 from "{name}"').fetchall()) for name in tables}
    connection.close()
    return counts


def settings_of(database: PostgresDatabase, between: FaultProxy) -> dict[str, str]:
    return {
        "DB_ADAPTER_ORDER": "supabase,local",
        "SUPABASE_DB_HOST": "127.0.0.1",
        "SUPABASE_DB_PORT": str(between.port),
        "SUPABASE_DB_NAME": database.database,
        "SUPABASE_DB_USER": database.user,
        "SUPABASE_DB_PASSWORD": database.password,
    }


def test_the_stand_in_takes_no_write_and_all_processes_agree(
    postgres_database: PostgresDatabase, proxy: MakeProxy, tmp_path: Path
) -> None:
    between, local = proxy(postgres_database.port), tmp_path / "local.db"
    settings = settings_of(postgres_database, between)
    between.set(Refuse())
    with ServedApp(tmp_path, WORKERS=str(WORKERS), LOCAL_DB_PATH=str(local), **settings) as app:
        site = Site(app)
        while_away = site.everywhere(site.create)
        assert {answer.status_code for answer in while_away} == {503}
        assert {answer.json()["outcome"] for answer in while_away} == {"not_applied"}
        assert all(1 <= int(answer.headers["Retry-After"]) <= 2 for answer in while_away)
        read = site.everywhere(lambda: httpx.get(f"{app.url}/api/molecules", timeout=30))
        assert {(answer.status_code, answer.headers.get("X-Data-Source")) for answer in read} == {(200, "local")}
        empty = rows_of_the_stand_in(local)
        between.heal()
        site.seconds_until_back()
        for seconds in OUTAGES if len(OUTAGES) > 1 else OUTAGES * 2:
            with writing(site):
                with between.suffering(Refuse()):
                    Event().wait(seconds)
                site.seconds_until_back()
            assert {answer.status_code for answer in site.everywhere(site.read_last)} == {200}
    with psycopg.connect(postgres_database.dsn) as connection:
        there = {record_id for (record_id,) in connection.execute("select id from molecules")}
    assert set(site.acknowledged) <= there
    assert rows_of_the_stand_in(local) == empty


@contextmanager
def on_postgres(request: pytest.FixtureRequest) -> Iterator[tuple[FaultProxy, dict[str, str]]]:
    database: PostgresDatabase = request.getfixturevalue("postgres_database")
    between = request.getfixturevalue("proxy")(database.port)
    yield between, settings_of(database, between)


@contextmanager
def on_convex(request: pytest.FixtureRequest) -> Iterator[tuple[FaultProxy, dict[str, str]]]:
    deployment: ConvexDeployment = request.getfixturevalue("empty_deployment")
    between = request.getfixturevalue("proxy")(deployment.port)
    address = {"CONVEX_URL": f"http://127.0.0.1:{between.port}", "CONVEX_DEPLOYMENT_KEY": deployment.deploy_key}
    yield between, {"DB_ADAPTER_ORDER": "convex,local", **address}


@contextmanager
def on_supabase_over_http(request: pytest.FixtureRequest) -> Iterator[tuple[FaultProxy, dict[str, str]]]:
    database: PostgresDatabase = request.getfixturevalue("postgres_database")
    prepare(database)
    with available(SupabaseApi, database) as api:
        between = request.getfixturevalue("proxy")(api.port)
        address = {"SUPABASE_URL": f"http://127.0.0.1:{between.port}", "SUPABASE_KEY": api.service_key}
        yield between, {"DB_ADAPTER_ORDER": "supabase,local", **address}


@pytest.mark.parametrize("backend", [on_postgres, on_convex, on_supabase_over_http])
def test_an_outage_is_over_soon_after_it_ends(
    request: pytest.FixtureRequest, tmp_path: Path, backend: Callable[..., Any]
) -> None:
    with (
        backend(request) as (between, settings),
        ServedApp(tmp_path, LOCAL_DB_PATH=str(tmp_path / "local.db"), **settings) as app,
    ):
        site = Site(app)
        site.seconds_until_back()
        for seconds in OUTAGES:
            with writing(site):
                with between.suffering(Refuse()):
                    Event().wait(seconds)
                site.seconds_until_back()
        assert all(site.read(record_id).status_code == 200 for record_id in site.acknowledged[-20:])

"""Monitoring: what is alive, what is ready, what is counted; with and without a database, and without secrets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.operations.health import READY_FOR
from api.operations.health import Readiness
from api.operations.metrics import CIRCUIT_STATES
from config.settings import load_settings
from database.adapter.backend import Setup
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend
from database.connection_manager import ConnectionManager
from database.core.context import Context
from database.core.errors import Unavailable
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.result import Result
from database.schema.sqlalchemy_engine import connected
from tests.clocks import ManualClock
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site
from tests.integration.http.support import wait_until
from tests.servers.network.faults import Refuse
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase

PATHS = ("/livez", "/readyz", "/status", "/metrics")


class MoodyBackend(MemoryBackend):
    """Memory that counts its pings, and can be made to wait or to fail."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.pings = 0
        self.well = True
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = threading.Event()

    def execute(self, operation: Operation, context: Context) -> Result:
        if isinstance(operation, Ping):
            self.pings += 1
            self.asked.set()
            assert self.may_answer.wait(30)
            if not self.well:
                raise Unavailable("gone")
        return super().execute(operation, context)


class Moody(MemoryAdapter):
    """An adapter on that backend."""

    backend_class = MoodyBackend
    backend: MoodyBackend


@pytest.fixture
def moody() -> Moody:
    return Moody({"retry_count": 0, "circuit_breaker_threshold": 0})


def readiness(adapter: Moody, clock: ManualClock) -> Callable[[], bool]:
    settings = load_settings(None, DB_ADAPTER_ORDER="memory")
    reasons = Readiness(ConnectionManager(settings, {"memory": adapter}), clock)
    return lambda: not reasons()


def test_readiness_is_asked_once_in_a_while(moody: Moody) -> None:
    clock = ManualClock()
    ready = readiness(moody, clock)
    assert all(ready() for _ in range(100))
    assert moody.backend.pings == 1
    moody.backend.well = False
    clock.now += READY_FOR / 2
    assert ready()
    clock.now += READY_FOR
    assert not ready()
    assert not ready()
    assert moody.backend.pings == 2
    moody.backend.well = True
    clock.now += READY_FOR
    assert ready()


def test_only_one_request_waits_for_a_database_that_is_slow(moody: Moody) -> None:
    clock = ManualClock()
    ready = readiness(moody, clock)
    assert ready()
    clock.now += READY_FOR
    moody.backend.may_answer.clear()
    moody.backend.asked.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ready)
        assert moody.backend.asked.wait(30)
        assert all(ready() for _ in range(10))
        moody.backend.may_answer.set()
        assert slow.result(30)
    assert moody.backend.pings == 2


def test_monitoring_needs_no_database_and_no_token(tmp_path: Path) -> None:
    site = make_site(tmp_path, LOCAL_DB_PATH=tmp_path, LOCAL_DB_RETRY_COUNT=0)
    assert site.get("/livez").json == {"status": "alive"}
    assert site.get("/status").json["adapters"]["local"]["connected"] is False
    assert site.get("/metrics").status_code == 200
    unready = site.get("/readyz")
    assert unready.status_code == 503
    assert unready.json["status"] == "not ready"
    assert unready.json["reasons"].keys() == {"local"}
    answer = site.get("/api/molecules")
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert_problem(site.post("/auth/login", {"email": "a@example.org", "password": "12345678"}), 503)
    site.close()


def test_monitoring_asks_the_database_for_nothing_but_a_sign_of_life(sqlite_site: Site) -> None:
    def counts() -> dict[str, object]:
        counted = sqlite_site.manager.adapter.pipeline.metrics.snapshot()
        return {kind: calls["ok"] for kind, calls in counted.items()}

    sqlite_site.get("/api/molecules")
    before = counts()
    for path in ("/livez", "/status", "/metrics", "/.well-known/jwks.json", "/nowhere"):
        sqlite_site.get(path)
    assert counts() == before
    assert sqlite_site.get("/readyz").status_code == 200
    assert counts().keys() == before.keys() | {"ping"}


def test_where_a_database_is_is_for_administrators(site: Site) -> None:
    places = {"host", "port", "database", "user", "path"}
    for headers in ({}, site.register()):
        answer = site.get("/status", headers)
        assert not any(places & adapter.keys() for adapter in answer.json["adapters"].values())
        assert all(adapter["circuit_state"] == "closed" for adapter in answer.json["adapters"].values())
    told = site.get("/status", site.admin()).json["adapters"]
    assert "path" in told["local"]
    assert "supabase" not in told or told["supabase"].keys() >= places - {"path"}


def test_a_table_that_cannot_be_read_is_named(site: Site) -> None:
    assert site.get("/readyz").json == {"status": "ready"}
    adapter = site.manager.adapter
    with connected(adapter, writes=True) as connection:
        connection.exec_driver_sql("drop table experiments")
    wait_until(lambda: site.get("/readyz").status_code == 503, "it is still ready")
    (reason,) = site.get("/readyz").json["reasons"].values()
    assert "cannot read table experiments: the database lacks the table" in reason


def test_a_file_that_was_overwritten_is_not_ready(sqlite_site: Site, tmp_path: Path) -> None:
    assert sqlite_site.get("/readyz").status_code == 200
    sqlite_site.manager.disconnect()
    file = tmp_path / "isthmus.db"
    sqlite_site.get("/api/molecules")
    file.write_bytes(b"\xa5" * file.stat().st_size)
    wait_until(lambda: sqlite_site.get("/readyz").status_code == 503, "it is still ready")
    assert "database file" in sqlite_site.get("/readyz").json["reasons"]["local"]


def test_status_has_the_documented_keys(site: Site) -> None:
    site.get("/api/molecules")
    status = site.get("/status").json
    active = "local" if len(status["adapters"]) == 1 else "supabase"
    assert status["environment"] == "testing"
    assert status["active_adapter"] == active
    adapter = status["adapters"][active]
    assert adapter["connected"] is True
    assert adapter["circuit_state"] == "closed"
    assert adapter["active_transactions"] == 0
    assert adapter["operations"]["select"]["ok"] >= 1


def test_the_status_names_the_keys_and_what_is_wrong_with_their_file(sqlite_site: Site, tmp_path: Path) -> None:
    keys = sqlite_site.get("/status").json["keys"]
    kid = sqlite_site.get("/.well-known/jwks.json").json["keys"][0]["kid"]
    assert keys == {"keys": [{"kid": kid, "algorithm": "ES256", "state": "current"}], "problem": None}
    (tmp_path / "keyring.json").write_text("{")
    wait_until(
        lambda: sqlite_site.get("/status").json["keys"]["problem"] is not None, "the damaged file is not noticed"
    )
    assert sqlite_site.get("/status").json["keys"]["keys"] == keys["keys"]


def test_metrics_are_read_by_prometheus(site: Site) -> None:
    for _ in range(3):
        site.get("/api/molecules")
    site.get("/api/molecules?limit=-1")
    answer = site.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    samples: dict[tuple[object, ...], float] = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    name = site.manager.active_adapter or ""
    adapter, select = ("adapter", name), ("operation", "select")
    assert samples[("isthmus_operations_total", adapter, select, ("outcome", "ok"))] == 3
    assert samples[("isthmus_operation_duration_seconds_count", adapter, select)] == 3
    assert samples[("isthmus_operation_duration_seconds_bucket", adapter, ("le", "+Inf"), select)] == 3
    states = [samples[("isthmus_circuit_state", adapter, ("state", state))] for state in CIRCUIT_STATES]
    assert states == [1, 0, 0]
    assert samples[("isthmus_active", adapter)] == 1
    assert samples[("isthmus_active_transactions", adapter)] == 0


@pytest.mark.parametrize("path", PATHS)
def test_no_secret_is_shown(
    tmp_path: Path, postgres_database: PostgresDatabase, proxy: Callable[[int], FaultProxy], path: str
) -> None:
    between = proxy(postgres_database.port)
    secret = "0123456789abcdef0123456789abcdef-good"
    site = make_site(
        tmp_path,
        JWT_SECRET=secret,
        LOCAL_DB_HOST=postgres_database.host,
        LOCAL_DB_PORT=between.port,
        LOCAL_DB_USER=postgres_database.user,
        LOCAL_DB_PASSWORD=postgres_database.password,
        LOCAL_DB_NAME=postgres_database.database,
        LOCAL_DB_RETRY_COUNT=0,
    )
    texts = [site.get(path).text]
    between.set(Refuse())
    texts += [site.get("/api/molecules").text, site.get(path).text]
    for text in texts:
        assert secret not in text
        assert postgres_database.password not in text
    site.close()

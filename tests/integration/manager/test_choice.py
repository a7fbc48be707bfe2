"""Which databases there are, in which order, and which one is active."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path

import pytest

from app import create_app
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import load_settings
from database import registry
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import CredentialsRefused
from database.core.errors import Unavailable
from tests.clocks import ManualClock
from tests.contract.tables import SCHEMA
from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresDatabase

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but the test's own, and the process's manager as it was."""
    monkeypatch.chdir(tmp_path)
    before = ConnectionManager._instance
    ConnectionManager.set_instance(None)
    yield
    ConnectionManager.set_instance(before)


def configured(**settings: str) -> Settings:
    return load_settings(None, ENVIRONMENT="testing", **settings)


class Counting(ConnectionManager):
    """Counts how often one is made."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        super().__init__(configured(DB_ADAPTER_ORDER="memory"))


def test_all_threads_get_the_same_manager() -> None:
    with ThreadPoolExecutor(16) as pool:
        managers = set(pool.map(lambda _: Counting.get_instance(), range(64)))
    assert len(managers) == 1
    assert Counting.made == 1


def test_the_manager_of_the_process_can_be_set_and_forgotten() -> None:
    mine = ConnectionManager(configured(DB_ADAPTER_ORDER="memory"))
    ConnectionManager.set_instance(mine)
    assert ConnectionManager.get_instance() is mine
    ConnectionManager.set_instance(None)
    assert ConnectionManager.get_instance() is not mine


def test_the_order_is_trimmed_and_free_of_repetitions() -> None:
    manager = ConnectionManager(configured(DB_ADAPTER_ORDER=" memory , local,, memory "))
    assert [*manager.adapters] == ["memory", "local"]
    assert isinstance(manager.adapters["memory"], MemoryAdapter)
    assert isinstance(manager.adapters["local"], SQLiteAdapter)
    assert manager.primary_adapter == "memory"


def test_a_local_host_makes_local_a_postgresql_server() -> None:
    manager = ConnectionManager(configured(LOCAL_DB_HOST="db.test"))
    assert isinstance(manager.adapters["local"], PostgresAdapter)


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"SUPABASE_DB_HOST": "db.test"}, SupabaseDirectAdapter),
        ({"SUPABASE_URL": "https://p.test", "SUPABASE_KEY": "sb_secret_x"}, SupabaseAdapter),
        (
            {"SUPABASE_DB_HOST": "db.test", "SUPABASE_URL": "https://p.test", "SUPABASE_KEY": "sb_secret_x"},
            SupabaseDirectAdapter,
        ),
    ],
    ids=["host", "url", "both"],
)
def test_a_database_host_is_preferred_to_the_http_interface(
    settings: dict[str, str], chosen: type[DatabaseAdapter]
) -> None:
    manager = ConnectionManager(configured(DB_ADAPTER_ORDER="supabase", **settings))
    assert type(manager.adapters["supabase"]) is chosen
    manager.disconnect()


def test_convex_takes_its_settings() -> None:
    settings = {"CONVEX_URL": "https://c.test", "CONVEX_DEPLOYMENT_KEY": "x", "CONVEX_TIMEOUT": "3"}
    manager = ConnectionManager(configured(DB_ADAPTER_ORDER="convex,local", CONVEX_RETRY_COUNT="0", **settings))
    convex = manager.adapters["convex"]
    assert isinstance(convex, ConvexAdapter)
    assert (convex.settings.timeout, convex.settings.retry_count) == (3, 0)
    off = configured(DB_ADAPTER_ORDER="convex,local", CONVEX_DB_ENABLED="false", **settings)
    assert [*ConnectionManager(off).adapters] == ["local"]


@pytest.mark.parametrize(
    ("settings", "key", "reason"),
    [
        ({"DB_ADAPTER_ORDER": "local,cassandra"}, "DB_ADAPTER_ORDER", "cassandra.*use names from.*local.*supabase"),
        ({"DB_ADAPTER_ORDER": "supabase,local"}, "SUPABASE_DB_HOST", "DB_ADAPTER_ORDER names supabase"),
        ({"DB_ADAPTER_ORDER": "supabase", "SUPABASE_URL": "https://p.test"}, "SUPABASE_KEY", "SUPABASE_URL"),
        ({"DB_ADAPTER_ORDER": "convex", "CONVEX_URL": "https://c.test"}, "CONVEX_DEPLOYMENT_KEY", "names convex"),
        ({"DB_ADAPTER_ORDER": "convex", "CONVEX_DEPLOYMENT_KEY": "x"}, "CONVEX_URL", "names convex"),
        ({"LOCAL_DB_ENABLED": "no"}, "DB_ADAPTER_ORDER", "are disabled"),
    ],
)
def test_settings_that_name_no_database_are_refused_by_their_key(
    settings: dict[str, str], key: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refused:
        ConnectionManager(configured(**settings))
    assert [*refused.value.problems] == [key]


def test_a_database_that_is_switched_off_is_left_out() -> None:
    manager = ConnectionManager(
        configured(DB_ADAPTER_ORDER="supabase,local", SUPABASE_DB_ENABLED="off", SUPABASE_DB_HOST="db.test")
    )
    assert [*manager.adapters] == ["local"]


def test_the_first_that_answers_becomes_active(tmp_path: Path) -> None:
    manager = ConnectionManager(
        configured(), {"down": unreachable(), "up": SQLiteAdapter({"path": str(tmp_path / "up.db")})}
    )
    states = [manager.active_adapter]
    assert manager.connect()
    states.append(manager.active_adapter)
    assert manager.get_active_adapter() is manager.adapters["up"]
    manager.disconnect()
    assert [*states, manager.active_adapter] == [None, "up", None]


def test_the_first_call_connects_by_itself() -> None:
    manager = ConnectionManager(configured(DB_ADAPTER_ORDER="memory"))
    assert manager.get("molecules", "none") is None
    assert manager.active_adapter == "memory"


def test_without_any_database_calls_fail_and_are_connection_errors() -> None:
    manager = ConnectionManager(configured(), {"down": unreachable()})
    assert not manager.connect()
    assert manager.get_active_adapter() is None
    with pytest.raises(ConnectionError, match="No active database adapter"):
        manager.get("molecules", "x")
    with pytest.raises(Unavailable):
        manager.begin_transaction()
    manager.disconnect()


def test_what_is_known_of_the_connections(tmp_path: Path) -> None:
    adapters = {"down": unreachable(), "up": SQLiteAdapter({"path": str(tmp_path / "up.db")}, name="up")}
    manager = ConnectionManager(configured(), adapters)
    manager.connect()
    info = manager.get_connection_info()
    assert (info["environment"], info["active_adapter"], info["primary_adapter"]) == ("testing", "up", "down")
    assert info["connection_mode"] == "auto"
    assert info["degraded"] is True
    assert [*info["adapters"]] == ["down", "up"]
    up = info["adapters"]["up"]
    assert (up["connected"], up["circuit_state"], up["failure_count"], up["active_transactions"]) == (
        True,
        "closed",
        0,
        0,
    )
    assert up["type"] == up["adapter_type"] == "sqlite"
    json.dumps(info)
    tested = manager.test_all_connections()
    assert tested["up"] == (True, "Connection successful")
    assert tested["down"][0] is False
    assert tested["down"][1].startswith("Connection error: ")
    manager.disconnect()


def test_no_password_is_shown_or_logged(postgres_database: PostgresDatabase, caplog: pytest.LogCaptureFixture) -> None:
    wrong = replace(postgres_database, password=SECRET)
    refused = PostgresAdapter({**asdict(wrong), "retry_count": 0, "pool_timeout": 0.5})
    adapters = {"refused": refused, "unreachable": unreachable()}
    manager = ConnectionManager(configured(LOCAL_DB_PASSWORD=SECRET, SUPABASE_DB_PASSWORD=SECRET), adapters)
    with caplog.at_level(logging.DEBUG):
        assert not manager.connect()
        shown = [repr(manager), repr(manager.settings), repr(manager.adapters), *map(repr, adapters.values())]
        shown += [str(manager.get_connection_info()), str(manager.test_all_connections())]
        for adapter in adapters.values():
            with pytest.raises((Unavailable, CredentialsRefused)) as error:
                adapter.get("molecules", "x")
            shown += [str(error.value), repr(error.value), str(error.value.__cause__)]
        manager.disconnect()
    assert caplog.records
    assert SECRET not in "\n".join([*shown, caplog.text])


def unreachable() -> PostgresAdapter:
    """A server that is not there."""
    place = {"host": "127.0.0.1", "port": free_port(), "user": "nobody", "password": SECRET}
    return PostgresAdapter({**place, "timeout": 5, "retry_count": 0, "circuit_breaker_threshold": 1})


def test_while_nobody_answers_calls_do_not_stand_in_line() -> None:
    asked = []

    class Down(PostgresAdapter):
        def connect(self) -> bool:
            asked.append(self.name)
            return False

    clock = ManualClock()
    manager = ConnectionManager(configured(), {"down": Down({"host": "127.0.0.1"})}, clock=clock)
    for _ in range(3):
        with pytest.raises(Unavailable):
            manager.get("molecules", "x")
    assert asked == ["postgresql"]
    clock.now += 1
    with pytest.raises(Unavailable):
        manager.get("molecules", "x")
    assert asked == ["postgresql", "postgresql"]
    manager.disconnect()


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(None, DB_ADAPTER_ORDER="mongo", PORT="abc", JWT_EXPIRY_SECONDS="-1", LOCAL_DB_TIMEOUT="soon")
    assert refused.value.problems.keys() == {"DB_ADAPTER_ORDER", "PORT", "JWT_EXPIRY_SECONDS", "LOCAL_DB_TIMEOUT"}
    with pytest.raises(ConfigurationError) as refused:
        create_app(load_settings(None, DB_ADAPTER_ORDER="supabase", ENVIRONMENT="production"))
    assert refused.value.problems.keys() == {"SUPABASE_DB_HOST", "JWT_KEYRING_PASSWORD"}


def test_backends_can_be_registered_and_taken_back() -> None:
    registry.register("spare", lambda _, name, schema: MemoryAdapter(schema=schema, name=name))
    assert "spare" in registry.registered()
    manager = ConnectionManager(load_settings(None, DB_ADAPTER_ORDER="spare, local"))
    assert list(manager.adapters) == ["spare", "local"]
    assert isinstance(manager.adapters["spare"], MemoryAdapter)
    registry.unregister("spare")
    with pytest.raises(ConfigurationError, match="spare"):
        load_settings(None, DB_ADAPTER_ORDER="spare")
    with pytest.raises(KeyError):
        registry.unregister("spare")


def test_tables_to_sync_are_declared_ones() -> None:
    settings = load_settings(None, DB_ADAPTER_ORDER="memory", CONVEX_SYNC_TABLES="molecules,isthmus_users,none")
    with pytest.raises(
        ConfigurationError, match=r"CONVEX_SYNC_TABLES: names unknown tables: isthmus_users, none; declared tables are"
    ):
        ConnectionManager(settings)


def test_an_application_that_is_not_there_is_named() -> None:
    settings = load_settings(None, DB_ADAPTER_ORDER="memory", APPLICATION_PACKAGE="no.such.package")
    with pytest.raises(ConfigurationError, match=r"no\.such\.package\.tables cannot be imported: No module named 'no'"):
        ConnectionManager(settings)


def test_the_tables_that_it_is_given_are_those_of_its_adapters() -> None:
    manager = ConnectionManager(load_settings(None, DB_ADAPTER_ORDER="memory"), schema=SCHEMA)
    assert manager.adapters["memory"].schema is manager.schema is SCHEMA

"""What ``create_storage_manager()`` makes of the environment and the file ``.env``, with real databases and a cache."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_delay
from tenacity import wait_fixed

from config.evaluations import LARGEST_INLINE
from config.evaluations import EvaluationSettings
from database.connection_manager import ConnectionManager
from database.core.errors import ConnectFailed
from database.core.errors import Unavailable
from database.declared import DEFAULT_PACKAGE
from storage.core.errors import StorageConfigurationError
from stores import DatabaseStorage
from stores import FlexibleStorageManager
from stores import StorageConfig
from stores import create_storage_manager
from stores.evaluations.manager.addressed import database_at
from stores.evaluations.places.records import INLINE
from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

OURS = {"evaluations", "evaluation_events", "evaluation_metrics", "isthmus_entries"}
PATIENCE = 120

Make = Callable[..., Any]


@pytest.fixture
def make(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make the manager of an environment; its database is closed after the test."""
    for name in EvaluationSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    made: list[FlexibleStorageManager] = []

    def one(**environ: str) -> FlexibleStorageManager:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        made.append(create_storage_manager())
        return made[-1]

    yield one
    for manager in made:
        database = getattr(manager.evaluations.records.primary, "database", None)  # type: ignore[attr-defined]
        if database is not None:
            database.adapter.disconnect()


def production(**environ: str) -> dict[str, str]:
    """The variables of a production with files in the folder of the test."""
    return {"ENVIRONMENT": "production", "FILE_STORAGE_PATH": "files", "DB_ADAPTER_ORDER": "local", **environ}


def names_in(path: Path) -> set[str]:
    """The tables of a file."""
    with closing(connect(path)) as connection:
        return {name for (name,) in connection.execute("select name from sqlite_schema where type = 'table'")}


def test_production_keeps_them_in_sqlite(make: Make, tmp_path: Path) -> None:
    manager = make(**production(DATABASE_URL="sqlite:///mine.db"))
    manager.create_evaluation("a", "1")
    manager.update_evaluation("a", output="x" * 2_000_000)
    assert (manager.get_evaluation("a")["output_size"], len(manager.get_output("a"))) == (2_000_000, 2_000_000)
    # The tables of the application are not made there, and its declaration is not asked for.
    assert names_in(tmp_path / "mine.db") == OURS
    assert (tmp_path / "files").is_dir()


def test_production_keeps_them_in_postgresql(make: Make, postgres_database: PostgresDatabase) -> None:
    manager = make(**production(DATABASE_URL=f"{postgres_database.url}?sslmode=disable"))
    manager.create_evaluation("a", "1")
    assert [one["id"] for one in manager.list_evaluations()] == ["a"]
    with psycopg.connect(postgres_database.dsn) as connection:
        found = connection.execute(
            "select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
            " where relkind = 'r' and nspname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
    assert {name for (name,) in found} == OURS


def test_production_begins_while_postgresql_is_away(make: Make, durable_postgres: PostgresServer) -> None:
    database = durable_postgres.create_database()
    durable_postgres.stop()
    manager = make(**production(DATABASE_URL=database.url))
    manager.create_evaluation("a", "1")
    assert (manager.pending(), manager.get_evaluation("a")["status"]) == (1, "queued")
    with pytest.raises(Unavailable, match="DATABASE_URL") as raised:
        manager.list_evaluations()
    assert "LOCAL_DB" not in str(raised.value)
    durable_postgres.start()
    attempts = Retrying(
        retry=retry_if_exception_type(Unavailable), wait=wait_fixed(0.2), stop=stop_after_delay(PATIENCE), reraise=True
    )
    assert [one["id"] for one in attempts(manager.list_evaluations)] == ["a"]
    assert manager.pending() == 0


@pytest.mark.parametrize("package", [DEFAULT_PACKAGE, None], ids=["declared", "not declared"])
def test_production_without_a_url_has_the_applications_own_database(
    make: Make, tmp_path: Path, package: str | None
) -> None:
    manager = make(**production(**{} if package is None else {"APPLICATION_PACKAGE": package}))
    manager.create_evaluation("a", "1")
    assert manager.get_evaluation("a")["code"] == "1"
    own = ConnectionManager.get_instance()
    path = tmp_path / own.adapter.describe()["path"]
    assert (names_in(path) >= OURS, "molecules" in names_in(path)) == (True, package is not None)
    own.disconnect()


@pytest.mark.parametrize("environ", [{}, {"DATABASE_URL": "sqlite:///mine.db"}], ids=["without a url", "with one"])
def test_no_database_is_used_if_none_is_preferred(make: Make, tmp_path: Path, environ: dict[str, str]) -> None:
    manager = make(**production(PREFER_DATABASE="false", **environ))
    manager.create_evaluation("a", "1")
    assert manager.get_evaluation("a")["code"] == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


@pytest.mark.parametrize(("caching", "seen"), [("false", {"theirs": 1}), ("true", {})])
def test_without_a_cache_all_is_read_anew(make: Make, caching: str, seen: dict[str, int]) -> None:
    environ = production(DATABASE_URL="sqlite:///mine.db", ENABLE_CACHING=caching)
    first, second = make(**environ), make(**environ)
    first.create_evaluation("a", "1")
    second.update_evaluation("a", theirs=1)
    assert first.get_evaluation("a")["metadata"] == seen


def test_processes_share_a_cache_in_redis(make: Make, redis_server: RedisServer) -> None:
    id_ = str(uuid4())
    first = make(REDIS_URL=redis_server.url, FILE_STORAGE_PATH="first")
    first.create_evaluation(id_, "1")
    # What its own folder does not have can only come from the cache.
    second = make(REDIS_URL=redis_server.url, FILE_STORAGE_PATH="second")
    assert second.get_evaluation(id_)["code"] == "1"
    assert make(FILE_STORAGE_PATH="third", ENABLE_CACHING="false").get_evaluation(id_) is None


def test_the_threshold_of_large_outputs(make: Make) -> None:
    manager = make(**production(DATABASE_URL="sqlite:///mine.db", LARGE_FILE_THRESHOLD="10"))
    manager.create_evaluation("a", "1")
    manager.update_evaluation("a", output="x" * 10, error="x" * 11)
    found = manager.get_evaluation("a")
    assert found["output_s3_key"] is None
    assert found["error_s3_key"] is not None
    assert manager.get_output("a", "error") == b"x" * 11


def test_the_greatest_threshold_is_that_of_a_record(make: Make) -> None:
    assert LARGEST_INLINE == INLINE
    make(**production(DATABASE_URL="sqlite:///mine.db", LARGE_FILE_THRESHOLD=str(INLINE)))
    with pytest.raises(StorageConfigurationError, match=r"^LARGE_FILE_THRESHOLD: must be at most 1048576 \(1 MiB\)"):
        make(LARGE_FILE_THRESHOLD="10485760")


def test_the_file_env_is_read(make: Make, tmp_path: Path) -> None:
    lines = production(DATABASE_URL="sqlite:///of_the_file.db", LARGE_FILE_THRESHOLD="10")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")
    manager = make()
    manager.create_evaluation("a", "1")
    assert names_in(tmp_path / "of_the_file.db") == OURS
    assert manager.evaluations.records.inline == 10
    # The environment comes first.
    make(DATABASE_URL="sqlite:///of_the_environment.db").create_evaluation("a", "1")
    assert names_in(tmp_path / "of_the_environment.db") == OURS
    assert StorageConfig.from_environment({"LARGE_FILE_THRESHOLD": "7"}).large_file_threshold == 7
    assert StorageConfig.from_environment({}).database_url is None


def test_tls_is_used_if_the_url_demands_it(own_environment: None, postgres_database: PostgresDatabase) -> None:
    adapter = database_at(f"{postgres_database.url}?sslmode=require")
    with pytest.raises(ConnectFailed, match="does not support TLS, which DATABASE_URL with sslmode requires"):
        DatabaseStorage(adapter).list_evaluations()
    adapter.disconnect()


def test_the_parts_of_a_url_are_decoded() -> None:
    adapter = database_at(f"postgres://me:{quote('s/e@cret', safe='')}@host:5433/my%20base?sslmode=verify-full")
    assert adapter.config == {
        "host": "host",
        "port": 5433,
        "user": "me",
        "password": "s/e@cret",
        "database": "my base",
        "sslmode": "verify-full",
    }


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@host/base?sslmod=require", "has no option sslmod"),
        ("postgresql://me:secret@host/base?sslmode=secret", "must be one of disable, allow"),
        ("postgresql://me:secret@host:port/base", "is no URL"),
        ("postgresql://me:secret@host", "must have a path: the database"),
        ("postgresql://me:12/secret@host/base", "percent-encode"),
        ("postgresql://me:12?secret@host/base", "percent-encode"),
        ("postgresql://me:12#secret@host/base", "percent-encode"),
        ("sqlite://secret/app.db", "sqlite:///relative"),
        ("sqlite:///app.db?mode=ro", "has no option mode"),
        ("mysql://me:secret@host/base", "must be postgresql://"),
        ("secret", "must be postgresql://"),
    ],
)
def test_what_is_no_url_is_refused_without_its_password(make: Make, url: str, said: str) -> None:
    with pytest.raises(StorageConfigurationError, match=r"^DATABASE_URL") as raised:
        make(**production(DATABASE_URL=url))
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_an_outage_names_the_variable(own_environment: None) -> None:
    adapter = database_at(f"postgresql://me:secret@127.0.0.1:{free_port()}/base")
    with pytest.raises(Unavailable, match="check DATABASE_URL") as raised:
        DatabaseStorage(adapter).list_evaluations()
    assert "LOCAL_DB" not in str(raised.value)
    assert "secret" not in str(raised.value)
    adapter.disconnect()

"""The places of stores as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from database import internal_tables
from storage import StorageConfigurationError
from storage import StorageError
from storage import store_at
from tests.integration.migrated import migrated_sqlite
from tests.servers.postgres import PostgresDatabase
from tests.servers.redis import RedisServer

PLACES: dict[str, dict[str, Any]] = {
    "data": {"folder": str(Path("data").absolute())},
    "file:da%ta": {"folder": str(Path("da%ta").absolute())},
    "file:///var/data": {"folder": "/var/data"},
    "sqlite:///app.db": {"path": "app.db", "table": "storage"},
    "sqlite:////var/app.db?table=kept": {"path": "/var/app.db", "table": "kept"},
    "sqlite:///app.db?store=notes": {"table": "isthmus_entries", "store": "notes"},
    "postgresql://me:se%2Fcret@host:5433/base": {"host": "host", "port": 5433, "table": "storage"},
    "postgresql:///base?store=default": {"table": "isthmus_entries", "store": "default"},
    "redis://:secret@host:6380/2?store=notes": {"host": "host", "port": 6380, "db": 2, "store": "notes"},
    "s3://bucket": {"bucket": "bucket", "store": "default", "endpoint": None},
    "s3://bucket/notes?endpoint=http://host:9000": {"store": "notes", "endpoint": "http://host:9000"},
    "cosmos://host:443/base": {"url": "https://host:443", "database": "base", "store": "default"},
    "cosmos+http://host:1/base/notes?container=c": {"url": "http://host:1", "container": "c", "store": "notes"},
    "qdrant+http://host:6333/notes?dimensions=3": {"location": "http://host:6333", "collection": "notes"},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_what_its_text_says(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_KEY", "c2VjcmV0")
    found = store_at(place)
    known = dict(found.backend.describe())
    assert {**known, **PLACES[place]} == known
    assert "cret" not in found.name


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "is empty"),
        ("ftp://host/", "begin with file:, sqlite:"),
        ("sqlite://secret/app.db", "sqlite:///relative"),
        ("sqlite:///app.db?table=a&store=b", "one of them"),
        ("sqlite:///app.db?table=A-B", "must have a name"),
        ("postgresql://me:secret@host", "must have a path"),
        ("postgresql://me:secret@host:port/base", "no URL"),
        ("postgresql://me:secret@host/base?shape=round&ssl=secret", "no option shape, ssl"),
        ("s3://bucket/a/b", "must have a path"),
        ("cosmos://host/base", "COSMOS_KEY"),
        ("qdrant://host/notes?dimensions=many", "dimensions=384"),
    ],
)
def test_what_is_no_place_is_refused_without_its_secrets(
    place: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COSMOS_KEY", raising=False)
    with pytest.raises(StorageConfigurationError) as caught:
        store_at(place)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_nothing_is_made_where_nothing_may_be(tmp_path: Path, postgres_database: PostgresDatabase) -> None:
    for place in (
        *(f"{tmp_path}/data", f"sqlite:///{tmp_path}/app.db", f"sqlite:///{tmp_path}/app.db?store=default"),
        *(postgres_database.url, f"{postgres_database.url}?store=default"),
    ):
        with pytest.raises(StorageConfigurationError, match="nothing is stored"):
            store_at(place, "refuse")
        assert store_at(place, "empty").count() == 0
        with pytest.raises(StorageConfigurationError):
            store_at(place, "refuse")
    assert list(tmp_path.iterdir()) == []


def test_the_table_of_an_application_is_found_on_postgresql(postgres_database: PostgresDatabase) -> None:
    postgres_database.create(internal_tables.metadata)
    store_at(f"{postgres_database.url}?store=notes").put("key", 1)
    assert store_at(f"{postgres_database.url}?store=notes", "refuse").load("key") == 1


def test_what_is_there_is_found(tmp_path: Path, redis_server: RedisServer) -> None:
    migrated_sqlite(tmp_path / "app.db")
    for place in (f"{tmp_path}/data", f"sqlite:///{tmp_path}/app.db?store=a", f"sqlite:///{tmp_path}/b.db"):
        store_at(place).put("key", place)
        assert store_at(place, "refuse").load("key") == place
    redis = store_at(f"{redis_server.url}?store=places")
    assert (redis.put("key", 1).key, redis.load("key")) == ("key", 1)
    with pytest.raises(StorageError, match="isthmus_entries"):
        store_at(f"sqlite:///{tmp_path}/b.db?store=a").load("key")

"""The providers that the environment names."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import DataManager
from storage import StorageConfigurationError
from storage import get_data_manager
from tests.servers.postgres import PostgresDatabase
from tests.servers.redis import PASSWORD
from tests.servers.redis import RedisServer
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server

NAMES = (
    *("FILESYSTEM_BASE_PATH", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_DATABASE", "REDIS_HOST"),
    *("REDIS_PORT", "REDIS_DB", "AWS_S3_BUCKET", "S3_BUCKET_NAME", "AWS_REGION", "AWS_DEFAULT_REGION", "QDRANT_URL"),
    *("QDRANT_COLLECTION", "QDRANT_COLLECTION_NAME", "QDRANT_VECTOR_SIZE", "QDRANT_API_KEY"),
)


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, own_environment: None, dm: DataManager) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_there_is_one_manager(dm: DataManager) -> None:
    assert get_data_manager() is get_data_manager() is dm


def test_only_files_need_no_settings(dm: DataManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("postgresql", "redis", "s3", "unknown"):
        with pytest.raises(StorageConfigurationError, match="not registered"):
            dm.store(1, name)
    monkeypatch.setenv("FILESYSTEM_BASE_PATH", str(tmp_path / "there"))
    dm.store(1, "filesystem", "key")
    assert (tmp_path / "there" / "key").exists()
    assert dm.list_providers() == ["filesystem", "first", "second"]


@pytest.mark.parametrize("spelling", ["POSTGRES_DB", "POSTGRES_DATABASE"])
def test_postgresql(
    dm: DataManager, postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    for name in ("host", "port", "user", "password"):
        monkeypatch.setenv(f"POSTGRES_{name.upper()}", str(getattr(postgres_database, name)))
    monkeypatch.setenv(spelling, postgres_database.database)
    assert dm.retrieve(dm.store([1], "postgresql")) == [1]


def test_redis(dm: DataManager, redis_server: RedisServer) -> None:
    # In a file, as for the application's settings.
    Path(".env").write_text(
        f"REDIS_HOST=127.0.0.1\nREDIS_PORT={redis_server.port}\nREDIS_PASSWORD={PASSWORD}\nREDIS_DB=1\nOTHER=1\n"
    )
    reference = dm.store([1], "redis")
    assert dm.retrieve(reference) == [1]
    with redis_server.client() as client:
        assert not client.exists(f"isthmus:{{default}}:entry:{reference.key}")
    dm.delete(reference)


@pytest.mark.parametrize(
    ("bucket", "region"), [("AWS_S3_BUCKET", "AWS_REGION"), ("S3_BUCKET_NAME", "AWS_DEFAULT_REGION")]
)
def test_s3(dm: DataManager, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, bucket: str, region: str) -> None:
    monkeypatch.setenv(bucket, BUCKET)
    monkeypatch.setenv(region, ACCESS["region"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS["secret_key"])
    monkeypatch.setenv("S3_ENDPOINT_URL", s3_server.url)
    assert dm.retrieve(dm.store([1], "s3")) == [1]


@pytest.mark.parametrize("collection", ["QDRANT_COLLECTION", "QDRANT_COLLECTION_NAME"])
def test_qdrant(dm: DataManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collection: str) -> None:
    monkeypatch.setenv("QDRANT_URL", str(tmp_path / "qdrant"))
    monkeypatch.setenv(collection, "own")
    monkeypatch.setenv("QDRANT_VECTOR_SIZE", "2")
    dm.store({"vector": [1, 0]}, "qdrant", "key")
    assert dm.search("qdrant", [1, 0]) == [({"vector": [1, 0]}, 1.0)]
    assert (tmp_path / "qdrant" / "collection" / "own").exists()


def test_an_invalid_setting_is_named_without_its_value(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", "not-a-port")
    with pytest.raises(StorageConfigurationError, match="REDIS_PORT: ") as caught:
        dm.store(1, "redis")
    assert "not-a-port" not in str(caught.value)

"""Document 004, "Storage System Guide": all of its code runs, and does what the text around it says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from storage import DataManager
from storage import DataReference
from storage import RedisEntries
from storage import RedisProvider
from storage import S3Entries
from storage import StorageError
from storage import Store
from storage import get_data_manager
from storage import storage_enabled
from storage.manager import environment
from tests.documents.agents import Spore
from tests.documents.agents import agent
from tests.documents.blocks import Block
from tests.documents.blocks import blocks
from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresDatabase
from tests.servers.qdrant.server import KEY
from tests.servers.redis import PASSWORD
from tests.servers.redis import RedisServer
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server

DOCUMENT = Path(__file__).with_name("004.txt")
SECTIONS = [block.section.split(" / ")[-1] for block in blocks(DOCUMENT, "python")]
PYTHON = {
    f"{section}/{SECTIONS[:number].count(section) + 1}": block
    for number, (section, block) in enumerate(zip(SECTIONS, blocks(DOCUMENT, "python"), strict=True))
}
TEXTS = DOCUMENT.read_text()

IMPORTS = {
    "from praval import agent, get_data_manager": (
        "from tests.documents.agents import agent\nfrom storage import get_data_manager"
    ),
    "from praval import agent\n": "from tests.documents.agents import agent\n",
    "from praval import get_data_manager": "from storage import get_data_manager",
    "from praval.storage.providers import": "from storage.providers import",
    "from praval.storage import": "from storage import",
}
POSTGRESQL = "host={host!r}, port={port}, user={user!r}, password={password!r}"
ADDRESSES = {
    'host="localhost",\n    port=5432,\n    database="praval_db",\n    user="praval_user",\n'
    '    password="secure_password"': POSTGRESQL + ", database={database!r}",
    'host="localhost",\n    database="praval"': POSTGRESQL + ", database={database!r}",
    "PostgreSQLProvider(...)": "PostgreSQLProvider(" + POSTGRESQL + ", database={database!r})",
    'host="localhost",\n    port=6379,\n    db=0,\n    password=None': (
        'host="127.0.0.1", port={redis}, password={secret!r}'
    ),
    'host="localhost",\n    db=0': 'host="127.0.0.1", port={redis}, password={secret!r}, db=0',
    'bucket_name="praval-data",\n    aws_access_key_id="YOUR_KEY",\n    aws_secret_access_key="YOUR_SECRET",\n'
    '    region_name="us-east-1"': (
        "endpoint_url={s3!r}, bucket_name={bucket!r}, aws_access_key_id={access_key!r},"
        " aws_secret_access_key={secret_key!r}, region_name={region!r}"
    ),
}
ADDRESSES['url="http://localhost:6333"'] = "url={qdrant!r}, api_key={qdrant_key!r}"
REPLACEMENTS = IMPORTS | ADDRESSES
"""All that is changed of the code."""

Run = Callable[..., dict[str, Any]]
_covered: set[str] = set()


def runs(*names: str) -> pytest.MarkDecorator:
    """The test's ``run`` is of the block with that name; further names are blocks that it runs itself."""
    _covered.update(names)
    return pytest.mark.parametrize("run", [names[0]], ids=[names[0]], indirect=True)


@pytest.fixture(autouse=True)
def _own_manager(monkeypatch: pytest.MonkeyPatch, own_environment: None) -> Iterator[None]:
    """A data manager of the test's own, in an empty folder, and no settings from outside."""
    for name in (
        "POSTGRES_HOST",
        "REDIS_HOST",
        "AWS_S3_BUCKET",
        "S3_BUCKET_NAME",
        "QDRANT_URL",
        "FILESYSTEM_BASE_PATH",
    ):
        monkeypatch.delenv(name, raising=False)
    made = environment.Process()
    monkeypatch.setattr(environment, "_process", made)
    yield
    made.manager.close()


@pytest.fixture
def dm() -> DataManager:
    return get_data_manager()


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run the block of that name, and close the provider that it has made."""
    with ExitStack() as opened:

        def run_block(*, name: str = request.param, **names: Any) -> dict[str, Any]:
            found = adapted(request, PYTHON[name]).run(**names)
            if "provider" in found:
                opened.callback(found["provider"].close)
            return found

        yield run_block


def adapted(request: pytest.FixtureRequest, block: Block) -> Block:
    """The block with the imports and the addresses of the tests."""
    found = {text: other for text, other in REPLACEMENTS.items() if text in block.code}
    return block.with_replaced(
        {text: other.format(**addresses(request, other)) if "{" in other else other for text, other in found.items()}
    )


def addresses(request: pytest.FixtureRequest, text: str) -> dict[str, Any]:
    """Those of the servers that the text needs."""
    if "{host" in text:
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        return {name: getattr(database, name) for name in ("host", "port", "user", "password", "database")}
    if "{redis" in text:
        return {"redis": request.getfixturevalue("redis_server").port, "secret": PASSWORD}
    if "{qdrant" in text:
        return {"qdrant": request.getfixturevalue("qdrant_server").url, "qdrant_key": KEY}
    return {"s3": request.getfixturevalue("s3_server").url, "bucket": BUCKET, **ACCESS}


def test_every_block_of_the_document_is_run() -> None:
    assert _covered == PYTHON.keys()
    assert len(PYTHON) == TEXTS.count("```python")


@pytest.mark.parametrize("text", REPLACEMENTS)
def test_every_replacement_has_something_to_replace(text: str) -> None:
    assert any(text in block.code for block in PYTHON.values())


# Quick start


@runs("Basic Storage/1")
def test_data_is_stored_and_retrieved(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    names = run()
    assert names["ref"] == DataReference("filesystem", "user_alice")
    assert capsys.readouterr().out == "{'user': 'alice', 'preferences': {'theme': 'dark'}}\n"


@runs("Storage with Agents/1")
def test_an_agent_stores_its_results(
    run: Run, postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, dm: DataManager
) -> None:
    for name in ("host", "port", "user", "password"):
        monkeypatch.setenv(f"POSTGRES_{name.upper()}", str(getattr(postgres_database, name)))
    monkeypatch.setenv("POSTGRES_DB", postgres_database.database)
    names = run(process_data=str.upper)
    reference = names["handle_data"](Spore({"input": "text"}))["stored_reference"]
    assert (reference.storage_type, dict(reference.metadata)) == ("postgresql", {"processed_at": "2025-01-15"})
    assert dm.retrieve(reference) == "TEXT"
    assert dm.query("postgresql", {"metadata.processed_at": "2025-01-15"}) == ["TEXT"]


# Providers


@runs("FileSystem Provider/1")
def test_data_is_in_the_file_of_its_key(run: Run, dm: DataManager) -> None:
    run(dm=dm)
    assert '"content": "Hello, World!"' in Path("data/greeting.json").read_text()


@runs("FileSystem Provider/2", "FileSystem Provider/1")
def test_a_folder_is_configured(run: Run, dm: DataManager) -> None:
    names = run(name="FileSystem Provider/1", dm=dm)
    dm.register_provider("configured", run(**names)["provider"])
    dm.store({"a": 1, "b": [2]}, "configured", "key")
    assert '"data": {\n    "a": 1,' in Path("storage/key").read_text()


@runs("PostgreSQL Provider/1")
def test_postgresql_is_queried_by_metadata(run: Run, dm: DataManager, postgres_database: PostgresDatabase) -> None:
    names = run(dm=dm)
    assert names["events"] == [{"user_id": 123, "action": "login"}]
    with psycopg.connect(postgres_database.dsn) as connection:
        columns: dict[str, str] = dict(
            connection.execute(
                "select column_name, data_type from information_schema.columns where table_name = 'storage'"
            ).fetchall()
        )
        (row,) = connection.execute("select key, data->>'action', metadata->>'event_type', created_at from storage")
        (key,) = connection.execute(
            "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
            " and a.attnum = any(i.indkey) where i.indrelid = 'storage'::regclass and i.indisprimary"
        )
    assert (columns["data"], columns["metadata"], columns["created_at"]) == (
        *("jsonb", "jsonb", "timestamp with time zone"),
    )
    assert row[:3] == ("event_001", "login", "authentication")
    assert key == ("key",)


@runs("Redis Provider/1")
def test_redis_expires_data(run: Run, dm: DataManager, redis_server: RedisServer) -> None:
    names = run(dm=dm)
    assert dm.retrieve(names["ref"]) == {"session_id": "abc123", "user": "alice"}
    with redis_server.client() as client:
        assert 3500 < client.ttl("isthmus:{default}:entry:session:abc123") <= 3600


@runs("S3 Provider/1")
def test_s3_takes_a_large_dataset(run: Run, dm: DataManager) -> None:
    large = [{"number": number, "text": "x" * 100} for number in range(5_000)]
    names = run(dm=dm, large_dataset=large)
    assert dm.retrieve(names["ref"]) == large
    assert dm.delete(names["ref"]) is True


class Model:
    """Makes a vector of the letters of a text, as models do: an array of NumPy."""

    def encode(self, text: str) -> NDArray[np.float32]:
        found = np.zeros(384, np.float32)
        for letter in text.lower():
            found[ord(letter)] += 1
        return found


@runs("Qdrant Provider/1")
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_qdrant_finds_the_most_similar_data(run: Run, dm: DataManager) -> None:
    model = Model()
    names = run(dm=dm, embedding_model=model)
    ((data, score),) = names["results"]
    assert data == {"text": "Praval is a multi-agent AI framework", "vector": model.encode("Praval is...").tolist()}
    assert 0 < score < 1
    assert dm.retrieve(names["ref"]) == data
    dm.store({"text": "framework", "vector": model.encode("AI framework")}, "qdrant", metadata={"category": "other"})
    first, second = dm.search("qdrant", model.encode("AI framework"), limit=5)
    assert (first[0]["text"], round(first[1], 6), second[0]) == ("framework", 1.0, data)
    found = dm.search("qdrant", model.encode("AI framework"), filters={"metadata.category": "documentation"})
    assert [data for data, _ in found] == [data]


# The manager's interface


_SIGNATURE = re.compile(r"\bdm\.(\w+)\((.*?)\) -> ([^#\n]+)", re.S)
_PARAMETER = re.compile(r"^\s*(\w+): ([^#\n]+?)(?: = ([^#\n,]+))?,?\s*(?:#.*)?$", re.M)


SIGNATURES = (
    *("Storing Data/1", "Retrieving Data/1", "Retrieving Data/2", "Deleting Data/1", "Deleting Data/2"),
    *("Querying Data/1", "Searching (Vector Databases)/1"),
)
_covered.update(SIGNATURES)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_methods_have_the_documented_parameters(name: str) -> None:
    found = _SIGNATURE.search(PYTHON[name].code)
    assert found is not None
    method = inspect.signature(getattr(DataManager, found[1]))
    documented = [(each[1], each[3] and each[3].strip()) for each in _PARAMETER.finditer(found[2])]
    assert len(documented) == found[2].count(": ")
    ours = [one for one in method.parameters.values() if one.kind is not one.KEYWORD_ONLY][1:]
    assert [(one.name, None if one.default is one.empty else repr(one.default)) for one in ours] == documented


# Decorators


@runs("@storage_enabled/1")
def test_an_agent_has_storage(run: Run, dm: DataManager) -> None:
    reference = run()["agent_with_storage"](Spore())["reference"]
    assert dm.retrieve(reference) == {"result": "..."}


@runs("@requires_storage/1", "Programmatic Configuration/1")
def test_an_agent_fails_fast_without_its_storage(run: Run, dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    critical = run(agent=agent)["critical_agent"]
    with pytest.raises(StorageError, match=r"^Provider 'postgresql' not registered"):
        critical(Spore())
    run(name="Programmatic Configuration/1")
    assert critical(Spore()) is None
    monkeypatch.setattr(dm, "_providers", {"postgresql": dm.provider("postgresql")})
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(free_port()))
    with pytest.raises(ConnectionError, match=r"^Could not connect to Redis$"):
        critical(Spore())


# Configuration


@runs("Programmatic Configuration/1")
def test_providers_are_registered_by_the_program(run: Run) -> None:
    dm = run()["dm"]
    assert dm.list_providers() == ["filesystem", "postgresql", "redis"]
    for name in dm.list_providers():
        assert dm.retrieve(dm.store({"in": name}, name)) == {"in": name}


# Advanced patterns


@runs("Multi-Provider Storage/1")
def test_each_provider_gets_what_suits_it(run: Run, dm: DataManager, servers: None) -> None:
    large = b"\0" * 1_000_000
    run(agent=agent, get_data_manager=get_data_manager, large_file=large)["hybrid_agent"](Spore())
    assert dm.query("redis", {}) == [{"session": "temp"}]
    assert dm.query("postgresql", {}) == [{"transaction": "permanent"}]
    assert dm.query("s3", {}) == [large]


@pytest.fixture
def servers(run: Run, dm: DataManager, redis_server: RedisServer, s3_server: S3Server) -> None:
    """PostgreSQL, Redis and S3 are registered, and empty."""
    for name in ("PostgreSQL Provider/1", "Redis Provider/1", "S3 Provider/1"):
        dm.delete(run(name=name, dm=dm, large_dataset=0)["ref"])
    for entries in (RedisEntries(redis_server.url), S3Entries(BUCKET, endpoint=s3_server.url, **ACCESS)):
        store = Store(entries)
        store.clear()
        store.close()


@runs("Storage with Memory Integration/1")
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_memory_and_storage_go_together(run: Run, dm: DataManager) -> None:
    imports = {"agent": agent, "storage_enabled": storage_enabled}
    names = run(name="Qdrant Provider/1", dm=dm, embedding_model=Model())
    dm.delete(names["ref"])
    smart = run(**imports, process_data=str.upper)["smart_agent"]
    assert dm.retrieve(smart(Spore({"input": "text"}))["stored"]) == "TEXT"
    assert smart.remembered == ["Current task: process data"]


@runs("Transaction-like Operations/1")
def test_what_was_stored_is_deleted_after_a_failure(run: Run, dm: DataManager, servers: None) -> None:
    given = {"data1": 1, "data2": [2], "data3": {"three": 3}}
    agents = {"agent": agent, "get_data_manager": get_data_manager}
    answer = run(**agents, **given)["transactional_agent"](Spore())
    assert answer["success"] is True
    assert [dm.retrieve(reference) for reference in answer["refs"]] == list(given.values())
    for reference in answer["refs"]:
        dm.delete(reference)
    answer = run(**agents, **{**given, "data3": {1, 2}})["transactional_agent"](Spore())
    assert answer["success"] is False
    assert answer["error"].startswith("Object of type 'set' is not JSON serializable")
    assert [dm.query(name, {}) for name in ("postgresql", "s3", "redis")] == [[], [], []]


@runs("Custom Storage Providers/1")
def test_a_custom_provider_is_registered(run: Run, dm: DataManager) -> None:
    names = {"dm": dm, "Any": Any, "List": list, "config": {}, "data": {"custom": 1}, "results": [1, 2]}
    assert run(**names)["MyCustomProvider"]({}).name == "custom"
    reference = dm.store({"custom": 1}, "custom", metadata={"a": 1})
    assert dm.retrieve(reference) == {"custom": 1}
    assert dm.query("custom", {"metadata.a": 1}) == [1, 2]
    assert dm.delete(reference) is True
    with pytest.raises(StorageError, match="vectors"):
        dm.search("custom", [1.0])


# Best practices


@runs("2. Use Metadata/1")
def test_metadata_is_rich(run: Run, dm: DataManager, servers: None) -> None:
    run(dm=dm, result={"a": 1})
    assert dm.query("postgresql", {"metadata.tags": "important", "metadata.version": "1.0"}) == [{"a": 1}]
    assert dm.query("postgresql", {"metadata.tags": "other"}) == []


@runs("3. Handle Failures Gracefully/1")
def test_the_file_system_is_the_fallback(run: Run, dm: DataManager) -> None:
    names = run(dm=dm, data=[1], StorageError=StorageError)
    assert names["ref"].storage_type == "filesystem"
    assert dm.retrieve(names["ref"]) == [1]


@runs("4. Clean Up Temporary Data/1")
def test_temporary_data_is_deleted(run: Run, dm: DataManager, servers: None, redis_server: RedisServer) -> None:
    run(dm=dm, temp_result=1)
    with redis_server.client() as client:
        (name,) = client.keys("isthmus:{default}:entry:*")
        assert 3500 < client.ttl(name) <= 3600


@runs("5. Version Your Data/1")
def test_versions_are_kept_beside_each_other(run: Run, dm: DataManager, servers: None) -> None:
    for version in (1, 2):
        names = run(dm=dm, model_weights=b"weights %d" % version, version=version, now=datetime.now(UTC).isoformat)
    assert dm.retrieve(names["ref"]) == b"weights 2"
    assert dm.retrieve_by_key("s3", "models/v1/weights.pkl") == b"weights 1"
    assert dm.query("s3", {"metadata.version": 2}) == [b"weights 2"]


# Troubleshooting


@runs("Provider Not Available/1")
def test_a_provider_is_registered_after_the_error(run: Run, dm: DataManager) -> None:
    assert "\nStorageError: Provider 'postgresql' not registered\n" in TEXTS
    with pytest.raises(StorageError) as caught:
        dm.store(1, "postgresql")
    assert str(caught.value) == "Provider 'postgresql' not registered"
    run(dm=dm)
    assert dm.retrieve(dm.store(1, "postgresql")) == 1


def test_a_server_that_cannot_be_reached_is_a_connection_error(dm: DataManager) -> None:
    assert "\nConnectionError: Could not connect to Redis\n" in TEXTS
    dm.register_provider("redis", RedisProvider(port=free_port()))
    with pytest.raises(ConnectionError) as caught:
        dm.store(1, "redis")
    assert str(caught.value) == "Could not connect to Redis"
    assert isinstance(caught.value, StorageError)


@runs("Serialization Errors/1")
def test_a_datetime_need_not_be_converted_except_in_metadata(run: Run, dm: DataManager) -> None:
    documented = "Object of type 'datetime' is not JSON serializable"
    assert f"\nTypeError: {documented}\n" in TEXTS
    data = run(result=1)["data"]
    assert dm.retrieve(dm.store(data, "filesystem")) == data
    moment = datetime.now(UTC)
    assert dm.retrieve(dm.store({"timestamp": moment}, "filesystem")) == {"timestamp": moment}
    with pytest.raises(TypeError, match=documented):
        dm.store(1, "filesystem", metadata={"timestamp": [moment]})
    with pytest.raises(TypeError, match="Object of type 'object' is not JSON serializable"):
        dm.store({"thing": object()}, "filesystem")

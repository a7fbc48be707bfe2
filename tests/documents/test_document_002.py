"""Document 002, "Storage Backend Implementation": all of its code runs, and does what the text around it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from azure.cosmos import CosmosClient

from stores import CosmosDBClient
from stores import PostgreSQLClient
from stores import StorageClient
from stores import create_storage_client
from tests.documents.blocks import blocks
from tests.servers.available import available
from tests.servers.cosmos.account import KEY
from tests.servers.cosmos.account import CosmosAccount
from tests.servers.postgres import PostgresDatabase

ROOT = Path(__file__).parents[2]
DOCUMENT = Path(__file__).with_name("002.txt")
PYTHON = {block.section: block for block in blocks(DOCUMENT, "python")}
(SCHEMA,) = blocks(DOCUMENT, "sql")
IMPORT = {"from shared.storage_client import": "from stores import"}
"""All that is changed of the code, apart from addresses."""

INTERFACE = "Architecture / Storage Abstraction Layer"
FACTORY = "Architecture / Factory Pattern"
USAGE = "Usage / Code Usage"
TESTING = "Testing"

_VARIABLE = re.compile(r"(\w+)=(\S+)")
_METHOD = re.compile(r"    def (\w+)\(\.\.\.\)")


@pytest.fixture(scope="module")
def cosmos_account() -> Iterator[CosmosAccount]:
    with available(CosmosAccount) as account:
        yield account


@pytest.fixture(params=["postgresql", "cosmos"])
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """Those of the document for each backend, with the addresses of the tests' servers."""
    if request.param == "postgresql":
        return {"POSTGRES_CONNECTION_STRING": request.getfixturevalue("postgres_database").url}
    url = request.getfixturevalue("cosmos_account").url
    return {"COSMOS_ENDPOINT": url, "COSMOS_KEY": KEY, "COSMOS_DATABASE_NAME": "transaction_review"}


@pytest.fixture
def configured(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_every_block_of_the_document_is_here() -> None:
    assert PYTHON.keys() == {INTERFACE, FACTORY, USAGE, TESTING}
    assert len(PYTHON) == DOCUMENT.read_text().count("```python")


def test_the_interface_has_the_documented_methods() -> None:
    block = PYTHON[INTERFACE].code
    documented = _METHOD.findall(block)
    assert block == "class StorageClient(ABC):\n" + "".join(f"    def {name}(...)\n" for name in documented)
    assert frozenset(documented) == StorageClient.__abstractmethods__
    assert all(issubclass(one, StorageClient) for one in (PostgreSQLClient, CosmosDBClient))


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"POSTGRES_CONNECTION_STRING": "p", "COSMOS_ENDPOINT": "e", "COSMOS_KEY": "k"}, "PostgreSQL"),
        ({"COSMOS_ENDPOINT": "e", "COSMOS_KEY": "k"}, "Cosmos"),
        ({"COSMOS_ENDPOINT": "e"}, "No storage backend configured"),
        ({"COSMOS_KEY": "k"}, "No storage backend configured"),
        ({}, "No storage backend configured"),
    ],
)
def test_the_factory_chooses_as_the_documented_one(
    given: dict[str, str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choice(create: Any) -> str:
        try:
            return str(create())
        except ValueError as error:
            return str(error)

    names = ("POSTGRES_CONNECTION_STRING", "COSMOS_ENDPOINT", "COSMOS_KEY")
    made = {"PostgreSQLClient": lambda: "PostgreSQL", "CosmosDBClient": lambda: "Cosmos"}
    config = SimpleNamespace(**{name: given.get(name) for name in names})
    documented = PYTHON[FACTORY].run(StorageClient=StorageClient, Config=config, **made)["create_storage_client"]
    monkeypatch.setattr("stores.agents.postgresql.PostgreSQLClient", made["PostgreSQLClient"])
    monkeypatch.setattr("stores.agents.cosmos.CosmosDBClient", made["CosmosDBClient"])
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert choice(documented) == chosen
    assert choice(create_storage_client).startswith(chosen)
    if not given:
        assert all(name in choice(create_storage_client) for name in names)


@pytest.mark.usefixtures("configured")
def test_the_same_code_runs_on_both_backends() -> None:
    names = PYTHON[USAGE].with_replaced(IMPORT).run()
    with names["storage"] as storage:
        assert names["state"] == {"data": "value"}
        assert storage.get_state("agent-id", "state-id") == {"data": "value"}


def test_both_backends_are_tested_by_their_variables(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test.py").write_text(PYTHON[USAGE].with_replaced(IMPORT).code + "print(state)\n")
    lines = [line for line in PYTHON[TESTING].code.splitlines() if line and not line.startswith("#")]
    (line,) = (one for one in lines if _VARIABLE.findall(one)[0][0] in variables)
    *assignments, program, script = line.split()
    assert (program, script) == ("python", "test.py")
    environment = {name: variables[name] for name in (one.partition("=")[0] for one in assignments)}
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("{'data': 'value'}\n", 0), done.stderr


@pytest.mark.usefixtures("configured")
def test_the_configuration_may_be_in_a_file(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variables:
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    with create_storage_client() as storage:  # type: ignore[attr-defined]  # those of both backends can be closed
        storage.save_state("agent", "state", {"from": "file"})
        assert storage.get_state("agent", "state") == {"from": "file"}


COLUMNS = """
    select table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
    from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position"""
CONSTRAINTS = """
    select conrelid::regclass::text, contype, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'public'::regnamespace and contype in ('p', 'u') order by 1, 2, 3"""
INDEXES = "select indexname, indexdef from pg_indexes where schemaname = 'public'"


def _shown(database: PostgresDatabase, query: str) -> list[Any]:
    with psycopg.connect(database.dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_the_tables_are_the_documented_ones(postgres_database: PostgresDatabase) -> None:
    with PostgreSQLClient(postgres_database.url), PostgreSQLClient(postgres_database.url):
        pass
    made = [_shown(postgres_database, query) for query in (COLUMNS, CONSTRAINTS)]
    indexes = dict(_shown(postgres_database, INDEXES))
    for name, columns in re.findall(r"- `(\w+)` on `(\(.+\))`", DOCUMENT.read_text()):
        assert indexes[name].endswith(f"USING btree {columns}")
    postgres_database.execute("drop schema public cascade; create schema public")
    postgres_database.execute(SCHEMA.code)
    assert [_shown(postgres_database, query) for query in (COLUMNS, CONSTRAINTS)] == made


def test_rows_of_the_documented_tables_are_read_and_replaced(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute(SCHEMA.code)
    postgres_database.execute("""
        insert into agent_states values ('a_s', 'a', 's', '{"step": 1, "$type": "Some.Class"}', '2024-01-01');
        insert into conversations values ('m1', 'c', '{"text": "old"}', '2024-01-01');
        insert into conversations values ('m2', 'c', '{"text": "older"}', '2023-01-01');
        insert into conversations values ('m3', 'c', '{"text": "unknown"}', null);
        insert into transactions values ('t', 'c', '[1, "text"]', '2024-01-01')""")
    with PostgreSQLClient(postgres_database.url) as storage:
        assert storage.get_state("a", "s") == {"step": 1, "$type": "Some.Class"}
        storage.save_state("a", "s", {"step": 2})
        storage.save_conversation("c", {"text": "new"})
        assert storage.get_state("a", "s") == {"step": 2}
        assert [one["text"] for one in storage.get_conversation_history("c")] == ["older", "old", "new", "unknown"]
        pages = storage.conversation_page("c", limit=3)
        assert storage.conversation_page("c", limit=3, cursor=pages.next_cursor).values == [{"text": "unknown"}]
        transactions: list[Any] = storage.get_transactions("c")
        assert transactions == [[1, "text"]]
        assert (storage.delete_state("a", "s"), storage.delete_conversation("c")) == (True, 4)
    assert _shown(postgres_database, "select count(*) from agent_states") == [(0,)]


def test_the_containers_are_made(cosmos_account: CosmosAccount) -> None:
    documented = re.findall(r"^- `(\w+)` - ", DOCUMENT.read_text(), re.MULTILINE)
    with CosmosDBClient(cosmos_account.url, KEY, "made"), CosmosDBClient(cosmos_account.url, KEY, "made"):
        client = CosmosClient(cosmos_account.url, KEY, enable_endpoint_discovery=False)
        containers = list(client.get_database_client("made").list_containers())
        client.close()
    assert [one["id"] for one in containers] == documented
    assert [one["partitionKey"]["paths"] for one in containers] == [
        ["/agent_id"],
        ["/agent_id"],
        ["/conversation_id"],
        ["/case_id"],
    ]

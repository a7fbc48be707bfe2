"""What goes wrong is an error of its own kind: nothing is lost, nothing is stored twice, and nothing looks empty."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from azure.cosmos import CosmosClient
from azure.cosmos import PartitionKey

from config.settings import ConfigurationError
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import current_context
from database.core.errors import PermissionDenied
from database.core.operations import Select
from database.core.tables.schema import Schema
from database.resilience.settings import ResilienceSettings
from storage import StorageCapacityError
from storage import StorageConfigurationError
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageCredentialsRefused
from storage import StorageError
from storage import StorageThrottled
from stores import CosmosDBClient
from stores import DatabaseClient
from stores import PostgreSQLClient
from stores import SQLiteClient
from stores import StateManager
from stores import StorageClient
from stores import create_storage_client
from stores.agents.client import RecordsClient
from stores.agents.records.in_cosmos import CosmosRecords
from stores.agents.records.kinds import STATES
from stores.agents.tables import own_schema
from tests.servers.cosmos.account import KEY
from tests.servers.cosmos.account import CosmosAccount
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.stores.agents.conftest import Ids


class LoseOneReply(LoseReply):
    """Only the first one."""

    async def request(self, link: Link, data: bytes) -> None:
        await (link.to_server(data) if self.fired else super().request(link, data))


def reads(client: StorageClient) -> list[Callable[[], Any]]:
    return [
        lambda: client.get_state("a", "s"),
        lambda: client.get_task("a", "t"),
        lambda: client.get_conversation_history("c"),
        lambda: client.get_transactions("c"),
    ]


@pytest.fixture
def cosmos(cosmos_account: CosmosAccount) -> Iterator[CosmosDBClient]:
    client = CosmosDBClient(cosmos_account.url, KEY, "faults")
    yield client
    cosmos_account.fail("", 500, times=0)
    client.close()


def test_an_outage_is_an_error_and_nothing_is_lost_when_it_is_over(durable_postgres: PostgresServer) -> None:
    with durable_postgres.database() as database, closing(PostgreSQLClient(database.url)) as client:
        client.save_state("a", "s", {"saved": 1})
        client.save_conversation("c", {"saved": 1})
        calls: list[Callable[[], Any]] = [*reads(client), lambda: client.save_conversation("c", {"lost": 1})]
        durable_postgres.kill()
        for call in calls:
            with pytest.raises(StorageConnectionError):
                call()
        durable_postgres.start()
        client.adapter.connect()
        assert client.get_state("a", "s") == {"saved": 1}
        client.save_conversation("c", {"saved": 2})
        assert client.get_conversation_history("c") == [{"saved": 1}, {"saved": 2}]


def test_a_message_whose_answer_is_lost_is_added_once(
    postgres_database: PostgresDatabase, proxy: Callable[[int], FaultProxy]
) -> None:
    between = proxy(postgres_database.port)
    with closing(PostgreSQLClient(postgres_database.at(between.port).url)) as client:
        with between.suffering(LoseOneReply(b"conversations")):
            client.save_conversation("c", {"text": "hello"})
        with between.suffering(LoseOneReply(b"COMMIT")):
            client.save_transactions("c", [{"a": 1}, {"a": 2}])
        assert client.get_conversation_history("c") == [{"text": "hello"}]
        assert client.get_transactions("c") == [{"a": 1}, {"a": 2}]


def test_transactions_that_are_refused_in_the_middle_leave_nothing(postgres_database: PostgresDatabase) -> None:
    with closing(PostgreSQLClient(postgres_database.url)) as client:
        postgres_database.execute("alter table transactions add check (transaction->>'sum' is distinct from '3')")
        client.save_transactions("c", [{"transaction_id": "1", "sum": 0}])
        with pytest.raises(StorageError):
            client.save_transactions("c", [{"transaction_id": "1", "sum": 1}, {"sum": 2}, {"sum": 3}, {"sum": 4}])
        assert client.get_transactions("c") == [{"transaction_id": "1", "sum": 0}]


def test_clients_that_start_together_find_the_same_tables(postgres_database: PostgresDatabase) -> None:
    def work(number: int) -> None:
        with closing(PostgreSQLClient(postgres_database.url)) as client:
            client.save_state("agent", f"{number}", {"by": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with closing(PostgreSQLClient(postgres_database.url)) as client:
        assert [client.get_state("agent", f"{number}") for number in range(8)] == [{"by": n} for n in range(8)]


@pytest.mark.parametrize(
    ("connection_string", "reason"),
    [
        ("postgresql://user:secret@[host/db", "malformed"),
        ("host=h password='secret", "malformed"),
        ("host=h password=secret secret=1", "malformed"),
        ("postgresql://user:secret@h/db?options=-csearch_path%3Dother", "the parameter options"),
        ("postgresql://user:secret@h:1,i:2/db", "one port"),
    ],
)
def test_a_connection_string_that_is_none_is_refused_without_its_password(connection_string: str, reason: str) -> None:
    with pytest.raises(StorageError, match=reason) as caught:
        PostgreSQLClient(connection_string)
    assert "secret@" not in str(caught.value)
    assert "password" not in str(caught.value).replace("user:password", "")


def test_a_server_that_is_away_or_refuses(postgres_database: PostgresDatabase, cosmos_account: CosmosAccount) -> None:
    with pytest.raises(StorageConnectionError, match="POSTGRES_HOST"):
        PostgreSQLClient(f"postgresql://user@127.0.0.1:{free_port()}/db")
    with pytest.raises(StorageError, match="POSTGRES_NAME"):
        PostgreSQLClient(postgres_database.url + "_missing")
    with pytest.raises(StorageConnectionError, match="could not connect"):
        CosmosDBClient(f"http://127.0.0.1:{free_port()}", KEY)
    with pytest.raises(StorageCredentialsRefused):
        CosmosDBClient(cosmos_account.url, "wrong" + KEY[5:])


def test_regions_and_the_throughput_of_containers_come_from_the_environment(
    cosmos_account: CosmosAccount, monkeypatch: pytest.MonkeyPatch, own_environment: None
) -> None:
    monkeypatch.setenv("COSMOS_ENDPOINT", cosmos_account.url)
    monkeypatch.setenv("COSMOS_KEY", KEY)
    monkeypatch.setenv("COSMOS_DATABASE_NAME", "grows")
    monkeypatch.setenv("COSMOS_REGIONS", "West US, East US")
    monkeypatch.setenv("COSMOS_AUTOSCALE", "3000")
    cosmos_account.fail("", 500, times=0)
    with closing(create_storage_client()) as client:
        made = [one["growing"] for one in cosmos_account.seen() if one["path"] == "/dbs/grows/colls"]
        assert made == ['{"maxThroughput": 3000}'] * 4
        client.save_state("a", "s", {"n": 1})
        assert client.get_state("a", "s") == {"n": 1}
    near = [one["host"] for one in cosmos_account.seen() if one["method"] == "GET" and "/docs/" in (one["path"] or "")]
    assert near == [f"localhost:{cosmos_account.port}"]
    monkeypatch.setenv("COSMOS_AUTOSCALE", "much")
    with pytest.raises(ConfigurationError, match="COSMOS_AUTOSCALE"):
        create_storage_client()
    monkeypatch.setenv("COSMOS_AUTOSCALE", "1500")
    with pytest.raises(StorageConfigurationError, match="multiple of 1,000"):
        create_storage_client()


def test_what_is_not_configured_is_named(monkeypatch: pytest.MonkeyPatch, own_environment: None) -> None:
    for name in ("POSTGRES_CONNECTION_STRING", "COSMOS_ENDPOINT", "COSMOS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StorageConfigurationError, match="POSTGRES_CONNECTION_STRING is not set"):
        PostgreSQLClient()
    with pytest.raises(StorageConfigurationError, match="COSMOS_ENDPOINT and COSMOS_KEY"):
        CosmosDBClient("http://127.0.0.1:1")
    client = DatabaseClient(MemoryAdapter(schema=own_schema()))
    for both in ({}, {"storage_client": client, "cosmos_client": client}):
        with pytest.raises(StorageConfigurationError, match="storage_client"):
            StateManager(**both)


def test_what_changes_a_state_has_the_rights_of_its_caller(places: tuple[RecordsClient, DatabaseAdapter, bool]) -> None:
    client, application, belongs = places
    ada, seen = Identity("ada", "authenticated"), []

    def change(present: Any) -> Any:
        seen.append(current_context.get().identity)
        if not belongs:
            with pytest.raises(PermissionDenied):
                application.run(Select("agent_states"))
        return {"n": 1}

    with acting_as(ada):
        assert client.change_state("a", "s", change) == client.get_state("a", "s") == {"n": 1}
    assert seen == [ada]


class Dictionary(StorageClient):
    """The eight methods, in a dictionary, as somebody else may write them."""

    def __init__(self) -> None:
        self.saved: dict[tuple[str, str], dict[str, Any]] = {}

    def save_state(self, agent_id: str, state_id: str, state: dict[str, Any]) -> None:
        self.saved[agent_id, state_id] = state

    def get_state(self, agent_id: str, state_id: str) -> dict[str, Any] | None:
        return self.saved.get((agent_id, state_id))

    save_task, get_task = save_state, get_state  # type: ignore[assignment]

    def save_conversation(self, conversation_id: str, message: dict[str, Any]) -> None: ...
    def get_conversation_history(self, conversation_id: str) -> list[dict[str, Any]]: ...  # type: ignore[empty-body]
    def save_transactions(self, case_id: str, transactions: Any) -> None: ...
    def get_transactions(self, case_id: str) -> list[dict[str, Any]]: ...  # type: ignore[empty-body]


def test_the_states_of_a_client_of_ones_own() -> None:
    states = StateManager(Dictionary())
    assert states.create_initial_state("a", "s", {"step": 0}) == {"step": 0}
    assert states.create_initial_state("a", "s", {"step": 9}) == {"step": 0}
    assert states.update_state("a", "s", {"step": 1}) == states.load_state("a", "s") == {"step": 1}
    with pytest.raises(ValueError, match="has no state"):
        states.update_state("a", "t", {})
    with pytest.raises(TypeError, match="abstract"):
        StorageClient()  # type: ignore[abstract]


def test_a_table_with_other_columns_is_named(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("""create table conversations (id text primary key, context text, "user" text)""")
    with pytest.raises(StorageConfigurationError, match="conversation"):
        PostgreSQLClient(postgres_database.url).get_conversation_history("c")


def test_a_database_without_the_tables_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"agent_states, agent_tasks, .* stores.declare_agents\(metadata\)"):
        DatabaseClient(MemoryAdapter(schema=Schema.of(_empty())))


def _empty() -> Any:
    metadata = own_schema().metadata
    for table in list(metadata.sorted_tables):
        metadata.remove(table)
    return metadata


@pytest.fixture(params=["own", "application"])
def places(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[tuple[RecordsClient, DatabaseAdapter, bool]]:
    """A client, the database of an application, and whether the client belongs to its transactions."""
    application = MemoryAdapter(schema=own_schema())
    if request.param == "application":
        yield DatabaseClient(application), application, True
        return
    with SQLiteClient(tmp_path / "agents.db") as client:
        yield client, application, False


def test_a_client_belongs_to_the_transactions_of_its_own_database_only(
    places: tuple[RecordsClient, DatabaseAdapter, bool],
) -> None:
    client, application, belongs = places

    def fail() -> None:
        with application.transaction():
            client.save_state("a", "s", {"n": 1})
            client.change_state("a", "s", lambda present: {"n": (present or {})["n"] + 1})
            client.save_transactions("c", [{}, {}])
            assert client.get_state("a", "s") == {"n": 2}
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert client.get_state("a", "s") == (None if belongs else {"n": 2})
    assert len(client.get_transactions("c")) == (0 if belongs else 2)
    with application.transaction():
        client.save_task("a", "t", {})
        assert client.delete_state("a", "s") is not belongs
    assert client.get_task("a", "t") == {}


def test_cosmos_that_fails_is_asked_again_and_then_an_error(
    cosmos: CosmosDBClient, cosmos_account: CosmosAccount, ids: Ids
) -> None:
    for status in (429, 503):
        cosmos_account.fail("/docs", status, times=1, retry_after=0.01)
        cosmos.save_conversation(ids("c"), {"status": status})
    cosmos_account.fail("/docs", 503, times=2)
    cosmos.save_transactions(ids("c"), [{}, {}])
    assert cosmos.get_conversation_history(ids("c")) == [{"status": 429}, {"status": 503}]
    assert len(cosmos.get_transactions(ids("c"))) == 2
    impatient = RecordsClient(CosmosRecords(cosmos_account.url, KEY, "faults", {}, ResilienceSettings(retry_count=0)))
    for status, expected in ((429, StorageThrottled), (503, StorageConnectionError)):
        cosmos_account.fail("/docs", status, times=9)
        for call in reads(impatient):
            with pytest.raises(expected):
                call()
    impatient.close()


def test_a_message_whose_answer_is_lost_is_added_once_to_cosmos(
    cosmos_account: CosmosAccount, proxy: Callable[[int], FaultProxy], ids: Ids
) -> None:
    between = proxy(cosmos_account.port)
    with closing(CosmosDBClient(cosmos_account.url_at(between.port), KEY, "faults")) as client:
        with between.suffering(LoseOneReply(b"POST ")):
            client.save_conversation(ids("c"), {"text": "hello"})
        assert client.get_conversation_history(ids("c")) == [{"text": "hello"}]


def test_more_than_cosmos_stores_together_is_refused_as_a_whole(cosmos: CosmosDBClient, ids: Ids) -> None:
    for transactions in ([{"n": n} for n in range(101)], [{"text": "x" * 1_100_000}] * 2):
        with pytest.raises(StorageCapacityError, match=r"(101|2) transactions .* several calls, .* transaction_id"):
            cosmos.save_transactions(ids("c"), transactions)
    with pytest.raises(StorageCapacityError):
        cosmos.save_transactions(ids("c"), [{"text": "x" * 2_200_000}])
    assert cosmos.get_transactions(ids("c")) == []
    cosmos.save_transactions(ids("c"), [{"n": n} for n in range(100)])
    assert [one["n"] for one in cosmos.get_transactions(ids("c"))] == [*range(100)]
    assert cosmos.delete_transactions(ids("c")) == 100


def test_containers_that_are_not_ours_are_refused(
    cosmos_account: CosmosAccount, monkeypatch: pytest.MonkeyPatch, ids: Ids
) -> None:
    client = CosmosClient(cosmos_account.url, KEY, enable_endpoint_discovery=False)
    client.create_database_if_not_exists("faults").create_container_if_not_exists("by id", PartitionKey("/id"))
    monkeypatch.setenv("COSMOS_TRANSACTION_CONTAINER", "by id")
    with pytest.raises(StorageConfigurationError, match="the container by id must have the partition key /case_id"):
        CosmosDBClient(cosmos_account.url, KEY, "faults")
    monkeypatch.setenv("COSMOS_TRANSACTION_CONTAINER", "mine")
    with closing(CosmosDBClient(cosmos_account.url, KEY, "faults")) as storage:
        storage.save_state(ids("a"), "s", {})
        items = client.get_database_client("faults").get_container_client("agent_states")
        (record,) = (one for one in storage.records.every(STATES) if one.group == ids("a"))
        item = items.read_item(record.id, ids("a"))
        del item["state"]
        items.upsert_item(item)
        with pytest.raises(StorageCorruptError, match="no state"):
            storage.get_state(ids("a"), "s")
    client.close()

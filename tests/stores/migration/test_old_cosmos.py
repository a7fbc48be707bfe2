"""What agents have stored in the old layout of Cosmos DB, with the partition key ``/id``, is copied elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import ContainerProxy
from azure.cosmos import CosmosClient
from azure.cosmos import PartitionKey

from storage import Copied
from storage import CopyOptions
from storage import StorageConfigurationError
from storage import StorageCorruptError
from stores import SQLiteClient
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import STATES
from stores.migration.old_cosmos import OldCosmosRecords
from stores.migration.places import agents_at
from stores.migration.places import agents_source
from stores.migration.records import copy_records
from tests.servers.available import available
from tests.servers.cosmos.account import KEY
from tests.servers.cosmos.account import CosmosAccount

DATABASE = "transaction_review"
LATE, EARLY = "2026-01-02T00:00:00", "2026-01-01T00:00:00"
TOLD = "that is no time"

Containers = dict[str, ContainerProxy]


@pytest.fixture(scope="module")
def cosmos_account() -> Iterator[CosmosAccount]:
    with available(CosmosAccount) as account:
        yield account


@pytest.fixture
def place(cosmos_account: CosmosAccount, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COSMOS_KEY", KEY)
    return f"cosmos+http://127.0.0.1:{cosmos_account.port}/{DATABASE}"


@pytest.fixture
def containers(cosmos_account: CosmosAccount) -> Iterator[Containers]:
    """The four containers as the old program has made them, without items."""
    client = CosmosClient(cosmos_account.url, KEY, enable_endpoint_discovery=False)
    database = client.create_database(DATABASE)
    yield {kind.table: database.create_container(kind.table, PartitionKey("/id")) for kind in KINDS}
    client.delete_database(DATABASE)
    client.close()


def fill(containers: Containers) -> None:
    """Items as the old program has written them: with ids of its own, and the time that the value had, or none."""
    values: dict[str, Any] = {"step": 1, "limit": 99.5, "text": "\u4e2d", "$type": "mine", "list": [None, True]}
    long = "a" * 200
    for agent, state in (("a", "b_c"), ("a_b", "d"), (long, long)):
        item = {"id": f"{agent}_{state}", "agent_id": agent, "timestamp": ""}
        containers["agent_states"].upsert_item(item | {"state_id": state, "state": values | {"of": agent}})
        containers["agent_tasks"].upsert_item(item | {"task_id": state, "task_data": {"timestamp": ""}})
    for id_, conversation, at in (("1", "c", LATE), ("2", "c", EARLY), ("c_", "c", ""), ("3" * 300, "other", TOLD)):
        message = {"id": id_, "timestamp": at}
        containers["conversations"].upsert_item(message | {"conversation_id": conversation, "message": message})
    for id_, transaction in (("t-1", {"transaction_id": "t-1", "sum": 1}), ("case_", {"sum": 2})):
        containers["transactions"].upsert_item(
            {"id": id_, "case_id": "case", "transaction": transaction, "timestamp": ""}
        )


def copied(source: str, target: str, options: CopyOptions | None = None) -> Copied:
    return copy_records("agents", (source, target), options or CopyOptions(), lambda _: None)


def test_everything_is_copied_and_nothing_is_written(
    cosmos_account: CosmosAccount, containers: Containers, place: str, tmp_path: Path
) -> None:
    fill(containers)
    file = f"sqlite:///{tmp_path}/agents.db"
    cosmos_account.fail("", 500, times=0)
    assert copied(f"{place}?partition=id", file, CopyOptions(dry_run=True)).moved == 12
    done, again = copied(f"{place}?partition=id", file), copied(f"{place}?partition=id", file)
    assert (done.seen, done.moved, done.left) == (12, 12, {})
    assert (again.moved, again.same, again.others, again.left) == (0, 12, 0, {})
    assert {one["method"] for one in cosmos_account.seen()} == {"GET"}
    with closing(SQLiteClient(tmp_path / "agents.db")) as client:
        expected = {"step": 1, "limit": 99.5, "text": "\u4e2d", "$type": "mine", "list": [None, True]}
        assert client.get_state("a", "b_c") == {**expected, "of": "a"}
        assert client.get_state("a_b", "d") == {**expected, "of": "a_b"}
        assert client.get_task("a" * 200, "a" * 200) == {"timestamp": ""}
        # One without a time has that of the item's last change.
        assert [message["id"] for message in client.get_conversation_history("c")] == ["2", "1", "c_"]
        assert client.get_conversation_history("other") == [{"id": "3" * 300, "timestamp": TOLD}]
        client.save_transactions("case", [{"transaction_id": "t-1", "sum": 3}])
        assert sorted(one["sum"] for one in client.get_transactions("case")) == [2, 3]


def test_a_time_is_that_of_the_item_and_otherwise_that_of_its_last_change(containers: Containers, place: str) -> None:
    own = {"id": "a_s", "agent_id": "a", "state_id": "s", "state": {}, "timestamp": 1767225600}
    containers["agent_states"].upsert_item(own)
    containers["agent_states"].upsert_item(own | {"id": "a_t", "state_id": "t", "timestamp": ""})
    now = datetime.now(UTC).replace(tzinfo=None)
    with agents_source(f"{place}?partition=id") as source:
        assert isinstance(source, OldCosmosRecords)
        times = {one.name: one.timestamp or now.max for one in source.every(STATES)}
    assert times["s"].isoformat() == "2026-01-01T00:00:00"
    assert abs((times["t"] - now).total_seconds()) < 60


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": None}, "its state is no object"),
        ({"agent_id": 7}, "its agent_id is no text"),
        ({"state_id": ""}, "its"),
    ],
)
def test_an_item_of_something_else_is_named(
    containers: Containers, place: str, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    item = {"id": "a_s", "agent_id": "a", "state_id": "s", "state": {}, "timestamp": ""}
    containers["agent_states"].upsert_item(item | change)
    with pytest.raises(StorageCorruptError, match=f"'a_s'.*{reason}.*correct or delete the item"):
        copied(f"{place}?partition=id", f"sqlite:///{tmp_path}/agents.db")


def test_the_old_layout_is_a_source_only_and_only_if_the_place_says_so(
    containers: Containers, place: str, tmp_path: Path
) -> None:
    file = f"sqlite:///{tmp_path}/agents.db"
    for source, target, reason in (
        (file, f"{place}?partition=id", "read, and never written"),
        (f"{place}?partition=agent_id", file, "can only be id"),
        (place, file, "partition key /agent_id, not /id; name another one"),
    ):
        SQLiteClient(tmp_path / "agents.db").close()
        with pytest.raises(StorageConfigurationError, match=reason):
            copied(source, target)


def test_containers_in_the_new_layout_are_not_read_as_old_ones(
    cosmos_account: CosmosAccount, place: str, tmp_path: Path
) -> None:
    new = place.replace(DATABASE, "new")
    with agents_at(new) as client:
        client.save_state("a", "s", {})
    with pytest.raises(StorageConfigurationError, match="partition key /id, not /agent_id"):
        copied(f"{new}?partition=id", f"sqlite:///{tmp_path}/agents.db")
    with pytest.raises(StorageConfigurationError, match="no such database or container"):
        copied(f"{new}er?partition=id", f"sqlite:///{tmp_path}/agents.db")

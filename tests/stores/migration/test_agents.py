"""What agents have stored is copied between PostgreSQL, SQLite, Cosmos DB and an application, as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from database.backends.memory import MemoryAdapter
from storage import CopyOptions
from storage import StorageConfigurationError
from storage import StorageUnsupportedError
from stores import DatabaseClient
from stores import PostgreSQLClient
from stores import SQLiteClient
from stores.agents.client import RecordsClient
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import MESSAGES
from stores.agents.records.kinds import STATES
from stores.agents.records.kinds import AgentRecord
from stores.agents.tables import own_schema
from stores.migration.agents import copy_agents
from stores.migration.places import agents_at
from tests.servers.available import available
from tests.servers.cosmos.account import KEY
from tests.servers.cosmos.account import CosmosAccount
from tests.servers.postgres import PostgresDatabase

VALUES = 400
ROOT = Path(__file__).parents[3]
STATE = {"n": 1, "f": 1.0, "at": datetime(2026, 1, 2, tzinfo=UTC), "price": Decimal("1.10"), "z": {"y": 1, "a": None}}


def in_memory() -> RecordsClient:
    return DatabaseClient(MemoryAdapter(schema=own_schema()))


def filled() -> RecordsClient:
    """Records of all kinds, in hostile places."""
    client = in_memory()
    for agent, state in (("a_b", "c"), ("a", "b_c"), ("\0'; --", "\u4e2d/..")):
        client.save_state(agent, state, {**STATE, "of": agent})
        client.save_task(agent, state, {"steps": [1, 2.5, "three"]})
    for number in range(120):
        client.save_conversation("long", {"number": number, "timestamp": "2026-01-01T00:00:00"})
    client.save_conversation("other", {"timestamp": "", "id": "same"})
    client.save_transactions("case", [{"transaction_id": 1, "amount": 1}, {"amount": 2}, {"amount": 2}])
    return client


def everything(client: RecordsClient) -> list[Any]:
    """All records as they are, in one order."""
    found = [(kind.table, record) for kind in KINDS for record in client.records.every(kind)]
    return sorted(found, key=lambda one: (one[0], one[1].group, one[1].id))


@pytest.fixture(scope="module")
def cosmos_account() -> Iterator[CosmosAccount]:
    with available(CosmosAccount) as account:
        yield account


def test_records_pass_through_all_backends(
    tmp_path: Path, postgres_database: PostgresDatabase, cosmos_account: CosmosAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSMOS_KEY", KEY)
    url = f"cosmos+http://{cosmos_account.url.partition('://')[2].strip('/')}/migrated"
    places = [postgres_database.url, url, f"sqlite:///{tmp_path}/agents.db"]
    with (
        closing(filled()) as first,
        agents_at(places[0]) as postgresql,
        agents_at(places[1]) as cosmos,
        agents_at(places[2]) as sqlite,
    ):
        clients = [first, postgresql, cosmos, sqlite, in_memory()]
        for source, target in pairwise(clients):
            found = copy_agents(source, target)
            assert (found.seen, found.moved, found.left) == (130, 130, {})
            again = copy_agents(source, target)
            assert (again.moved, again.same, again.others, again.left) == (0, 130, 0, {})
        assert everything(clients[-1]) == everything(first)
        history = clients[-1].get_conversation_history("long")
        assert [message["number"] for message in history] == list(range(120))
        assert [one["amount"] for one in sqlite.get_transactions("case")] == [1, 2, 2]


def test_later_records_win_and_others_are_left() -> None:
    source, target = in_memory(), in_memory()
    early, late = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))
    for name, ours, theirs in (("older", late, early), ("newer", early, late), ("same time", early, early)):
        source.save_state("a", name, {"timestamp": ours, "v": "source"})
        target.save_state("a", name, {"timestamp": theirs, "v": "target"})
    target.save_task("only", "there", {})
    found = copy_agents(source, target)
    assert (found.moved, found.others) == (1, 1)
    assert set(found.left) == {"agent_states: a/newer", "agent_states: a/same time"}
    assert copy_agents(source, target, CopyOptions(replace=True, dry_run=True)).moved == 2
    assert (target.get_state("a", "newer") or {})["v"] == "target"
    assert copy_agents(source, target, CopyOptions(replace=True)).moved == 2
    assert everything(source) == [one for one in everything(target) if one[1].group != "only"]


def test_only_what_was_asked_for() -> None:
    source, target = in_memory(), in_memory()
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for number in range(3):
        source.save_conversation("c", {"timestamp": now + timedelta(hours=number)})
    assert copy_agents(source, target, CopyOptions(since=now + timedelta(hours=1))).moved == 2
    assert copy_agents(source, target).moved == 1
    with pytest.raises(StorageUnsupportedError):
        copy_agents(source, target, CopyOptions(prefix="a"))


def test_rows_of_other_programs_are_copied() -> None:
    source, target = in_memory(), in_memory()
    source.records.put(STATES, [AgentRecord("an id of its own", "a", "s", {"v": 1}, None)])
    source.records.put(MESSAGES, [AgentRecord("1", "c", None, {"text": "hello"}, None)])
    assert copy_agents(source, target).moved == 2
    assert copy_agents(source, target).same == 2
    assert target.get_state("a", "s") == {"v": 1}


def test_a_row_of_another_program_is_found_by_its_name_in_cosmos(
    cosmos_account: CosmosAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSMOS_KEY", KEY)
    source = in_memory()
    source.records.put(STATES, [AgentRecord("an id of its own", "a", "s", {"v": 1}, None)])
    url = f"cosmos+http://{cosmos_account.url.partition('://')[2].strip('/')}/foreign"
    with agents_at(url) as target:
        assert (copy_agents(source, target).moved, copy_agents(source, target).same) == (1, 1)
        assert target.get_state("a", "s") == {"v": 1}


def test_a_copy_that_was_killed_goes_on(tmp_path: Path, postgres_database: PostgresDatabase) -> None:
    with SQLiteClient(tmp_path / "agents.db") as source, PostgreSQLClient(postgres_database.url) as target:
        for number in range(VALUES):
            source.save_state("a", f"{number}", {"number": number})
        command = [sys.executable, "-m", "storage.migrate", "--records", "agents", "--json"]
        command += ["--source", f"sqlite:///{tmp_path}/agents.db", "--target", postgres_database.url]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            while sum(1 for _ in target.records.every(STATES)) < 50:
                assert process.poll() is None
            process.kill()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        found = json.loads(done.stdout)
        assert found["same"] >= 50
        assert (found["moved"] + found["same"], found["left"]) == (VALUES, {})
        assert everything(source) == everything(target)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("./data", "agents store in"),
        ("redis://host", "agents store in"),
        ("sqlite:///none.db", "there is no file none.db"),
        ("sqlite:///app.db?table=secret", "no option table"),
        ("cosmos://secret@host/a/b", "must have a path"),
        ("cosmos://secret@host/a?partition=id", "only the source of a copy"),
        ("postgresql://me:secret@host:port/base", "POSTGRES"),
    ],
)
def test_what_is_no_place_of_agents(place: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_KEY", KEY)
    with pytest.raises(StorageConfigurationError) as caught, agents_at(place, "refuse"):
        pass
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_dry_run_makes_no_file(tmp_path: Path) -> None:
    with agents_at(f"sqlite:///{tmp_path}/agents.db", "empty") as target:
        assert copy_agents(filled(), target, CopyOptions(dry_run=True)).moved == 130
    assert list(tmp_path.iterdir()) == []

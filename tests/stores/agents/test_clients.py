"""The suite of all backends of agents: what is saved is read as it was, and nothing of others."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from database.backends.memory import MemoryAdapter
from storage import StorageKeyError
from storage import StorageSerializationError
from stores import DatabaseClient
from stores import StateManager
from stores.agents.client import RecordsClient
from stores.agents.records.kinds import KINDS
from stores.agents.tables import own_schema
from tests.storage.contract.test_keys import HOSTILE
from tests.stores.agents.conftest import Ids

FITTING = [one for one in HOSTILE if len(one) <= 127]
LONG = [one for one in HOSTILE if len(one) > 255]
MOMENT = datetime(2026, 2, 28, 23, 59, 59, 999999, UTC)
VALUES: list[dict[str, Any]] = [
    {},
    {"data": "value", "nested": {"list": [1, 2.5, None, True, {"a": []}]}},
    {"text": "\u00e9\u4e2d\U0001f600 \\ ' \" {} % $1 \u2028", "": "empty name", "$type": "mine", "a.b": 1},
    {"nul": "a\0b", "a\0": 1},
    {"integers": [2**53, 2**53 + 1, -(2**63), 2**63 - 1, 2**64, 10**40]},
    {"floats": [1.0, -0.0, 0.1, 1e15, 1e16, 1e300, 5e-324, 100.0]},
    {"moment": MOMENT, "local": MOMENT.replace(tzinfo=None), "day": MOMENT.date(), "time": MOMENT.time()},
    {"decimal": Decimal("1.10"), "uuid": UUID(int=1), "bytes": b"\0\xff", "while": timedelta(days=1, microseconds=1)},
    {"deep": json.loads("[" * 100 + "]" * 100)},
    {"$type": "json", "value": "1"},
    {"$type": "object", "value": {"$type": "decimal"}},
]


def typed(value: Any) -> Any:
    """A value that is equal only if the types are, too."""
    if isinstance(value, dict):
        return {key: typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part) for part in value]
    return type(value), value, math.copysign(1, value) if isinstance(value, float) else None


@pytest.mark.parametrize("value", VALUES, ids=lambda value: next(iter(value), "empty"))
def test_values_are_read_as_they_were_saved(client: RecordsClient, ids: Ids, value: dict[str, Any]) -> None:
    agent, case = ids("agent"), ids("case")
    client.save_state(agent, "state", value)
    client.save_task(agent, "task", value)
    client.save_conversation(case, value)
    client.save_transactions(case, [value])
    read = [client.get_state(agent, "state"), client.get_task(agent, "task")]
    read += [*client.get_conversation_history(case), *client.get_transactions(case)]
    assert [typed(one) for one in read] == [typed(value)] * 4


def test_what_is_unknown_is_none_or_empty(client: RecordsClient, ids: Ids) -> None:
    assert (client.get_state(ids("a"), "b"), client.get_task(ids("a"), "b")) == (None, None)
    assert (client.get_conversation_history(ids("a")), client.get_transactions(ids("a"))) == ([], [])


def test_a_state_and_a_task_are_replaced(client: RecordsClient, ids: Ids) -> None:
    agent = ids("agent")
    for value in ({"step": 1, "old": True}, {"step": 2}):
        client.save_state(agent, "s", value)
        client.save_task(agent, "s", value | {"task": True})
    assert client.get_state(agent, "s") == {"step": 2}
    assert client.get_task(agent, "s") == {"step": 2, "task": True}


def test_ids_that_would_look_alike_together_are_kept_apart(client: RecordsClient, ids: Ids) -> None:
    pairs = [("a_b", "c"), ("a", "b_c"), ("a_b_c", "c"), ("a", "b"), ("b", "a"), ("A", "b"), ("ab", " "), ("a", "b ")]
    for agent, state in pairs:
        client.save_state(ids(agent), state, {"is": [agent, state]})
    assert [client.get_state(ids(agent), state) for agent, state in pairs] == [{"is": [*pair]} for pair in pairs]


def test_hostile_ids_are_ids_like_others(client: RecordsClient, ids: Ids) -> None:
    agent = ids("agent")
    names = FITTING[::2]
    for number, name in enumerate(names):
        client.save_state(agent, name, {"number": number})
    assert [client.get_state(agent, name) for name in names] == [{"number": n} for n in range(len(names))]
    for name in FITTING[::7]:
        hostile = f"{ids('')}{name}"
        client.save_state(hostile, "s", {"agent": name})
        client.save_conversation(hostile, {"in": name})
        client.save_transactions(hostile, [{"transaction_id": name, "in": name}])
        assert client.get_state(hostile, "s") == {"agent": name}
        assert client.get_conversation_history(hostile) == [{"in": name}]
        assert client.get_transactions(hostile) == [{"transaction_id": name, "in": name}]


@pytest.mark.parametrize("wrong", ["", None, 1, b"a", "\ud800", "x" * 256, *LONG[:2]], ids=lambda one: repr(one)[:9])
def test_an_id_that_is_none_is_refused_by_its_name(client: RecordsClient, wrong: Any) -> None:
    calls: list[tuple[str, Any]] = [
        ("agent_id", lambda: client.save_state(wrong, "s", {})),
        ("state_id", lambda: client.get_state("a", wrong)),
        ("task_id", lambda: client.save_task("a", wrong, {})),
        ("conversation_id", lambda: client.get_conversation_history(wrong)),
        ("case_id", lambda: client.save_transactions(wrong, [])),
    ]
    for field, call in calls:
        with pytest.raises(StorageKeyError, match=f"^{field} "):
            call()


def test_a_value_that_has_no_form_is_refused_by_its_name(client: RecordsClient, ids: Ids) -> None:
    case = ids("case")
    no_dicts: list[Any] = [[1], "text", None]
    no_json: list[Any] = [{"a": [object()]}, {1: 2}, {"a": "\ud800"}, {"\ud800": 1}]
    no_lists: list[Any] = [{"id": 1}, "ab", None]
    for wrong in no_dicts:
        with pytest.raises(StorageSerializationError, match=r"^state must be a dict"):
            client.save_state(case, "s", wrong)
    for wrong in no_json:
        with pytest.raises(StorageSerializationError, match=r"^message: "):
            client.save_conversation(case, wrong)
    with pytest.raises(StorageSerializationError, match=r"^transactions\[1\]: .*object"):
        client.save_transactions(case, [{"transaction_id": "1"}, {"a": object()}])
    for wrong in no_lists:
        with pytest.raises(StorageSerializationError, match="transactions must be a list of dicts"):
            client.save_transactions(case, wrong)
    assert client.get_transactions(case) == client.get_conversation_history(case) == []


def test_what_is_changed_after_it_was_saved_or_read_changes_nothing(client: RecordsClient, ids: Ids) -> None:
    agent, value = ids("agent"), {"list": [1]}
    client.save_state(agent, "s", value)
    value["list"].append(2)
    read = client.get_state(agent, "s") or {}
    assert read == {"list": [1]}
    read["list"].append(3)
    assert client.get_state(agent, "s") == {"list": [1]}


@pytest.mark.parametrize(
    "timestamp", ["", "yesterday", "2026-13-01", 0, 1_700_000_000, 1_700_000_000_000, 1e30, True, [], {}, None, MOMENT]
)
def test_any_timestamp_of_a_value_is_taken(client: RecordsClient, ids: Ids, timestamp: Any) -> None:
    value = {"timestamp": timestamp, "data": "value"}
    client.save_state(ids("agent"), "s", value)
    client.save_conversation(ids("agent"), value)
    assert client.get_state(ids("agent"), "s") == value
    assert client.get_conversation_history(ids("agent")) == [value]


def test_a_history_is_in_the_order_of_saving(client: RecordsClient, ids: Ids) -> None:
    messages = [{"text": f"message {number}"} for number in range(30)]
    for message in messages:
        client.save_conversation(ids("c"), message)
    assert client.get_conversation_history(ids("c")) == messages


def test_messages_with_timestamps_are_in_their_order_and_then_in_that_of_saving(
    client: RecordsClient, ids: Ids
) -> None:
    for text, timestamp in [
        *(("d", "2026-01-02T00:00:00"), ("a", "2026-01-01T00:00:00+00:00"), ("e", "2026-01-02T00:00:00Z")),
        *(("c", MOMENT.replace(month=1, day=1)), ("b", "2026-01-01T02:00:00+01:00"), ("f", 1767312000)),
    ]:
        client.save_conversation(ids("c"), {"text": text, "timestamp": timestamp})
    client.save_conversation(ids("c"), {"text": "g", "timestamp": ""})
    assert "".join(one["text"] for one in client.get_conversation_history(ids("c"))) == "abcdefg"


def test_messages_with_the_same_id_are_all_kept_where_they_belong(client: RecordsClient, ids: Ids) -> None:
    for text in ("one", "two"):
        client.save_conversation(ids("a"), {"id": "task", "text": text})
    client.save_conversation(ids("b"), {"id": "task", "text": "three"})
    client.save_conversation(ids("b"), {"id": "task", "text": "three"})
    assert [one["text"] for one in client.get_conversation_history(ids("a"))] == ["one", "two"]
    assert [one["text"] for one in client.get_conversation_history(ids("b"))] == ["three", "three"]


def test_transactions_are_in_the_order_of_saving_and_the_last_one_of_an_id_holds(
    client: RecordsClient, ids: Ids
) -> None:
    first: list[dict[str, Any]] = [
        {"transaction_id": "z", "sum": 1},
        {"sum": 2},
        {"id": "z", "sum": 3},
        {"sum": 2},
        {"id": 7, "sum": 4},
    ]
    client.save_transactions(ids("case"), [{"transaction_id": "z", "sum": 0}, *first])
    assert client.get_transactions(ids("case")) == first
    client.save_transactions(ids("case"), [{"id": "7", "sum": 5}])
    assert client.get_transactions(ids("case")) == [*first[:-1], {"id": "7", "sum": 5}]
    client.save_transactions(ids("case"), [])
    assert len(client.get_transactions(ids("case"))) == 5


def test_the_same_transaction_id_in_two_cases_is_two_transactions(client: RecordsClient, ids: Ids) -> None:
    for case in ("a", "b"):
        client.save_transactions(ids(case), [{"transaction_id": "t", "case": case}])
    assert [client.get_transactions(ids(case)) for case in ("a", "b")] == [
        [{"transaction_id": "t", "case": case}] for case in ("a", "b")
    ]


def test_a_history_comes_in_pages(client: RecordsClient, ids: Ids) -> None:
    client.save_transactions(ids("case"), [{"number": number} for number in range(7)])
    found: list[Any] = []
    cursor = None
    while True:
        page = client.transactions_page(ids("case"), limit=3, cursor=cursor)
        found += [one["number"] for one in page.values]
        if (cursor := page.next_cursor) is None:
            break
        assert len(page.values) == 3
    assert found == [*range(7)]
    assert client.conversation_page(ids("none")) == ([], None)
    for cursor in ("", "a", "\u00e9", "W10", "WzEsMl0"):
        with pytest.raises(StorageKeyError, match="cursor"):
            client.conversation_page(ids("case"), cursor=cursor)
    for limit in (0, 1_001, True, None):
        with pytest.raises(StorageKeyError, match="limit"):
            client.conversation_page(ids("case"), limit=limit)  # type: ignore[arg-type]


def test_a_history_of_more_messages_than_are_read_at_once(
    client: RecordsClient, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores.agents.client.MAX_PAGE", 3)
    client.save_transactions(ids("case"), [{"number": number} for number in range(9)])
    assert [one["number"] for one in client.get_transactions(ids("case"))] == [*range(9)]


def test_what_is_deleted_is_gone_and_nothing_else(client: RecordsClient, ids: Ids) -> None:
    agent, other = ids("agent"), ids("other")
    for group in (agent, other):
        client.save_state(group, "s", {})
        client.save_task(group, "s", {})
        client.save_conversation(group, {})
        client.save_transactions(group, [{}, {}])
    assert (client.delete_state(agent, "s"), client.delete_task(agent, "s")) == (True, True)
    assert (client.delete_state(agent, "s"), client.delete_task(agent, "t")) == (False, False)
    assert (client.delete_conversation(agent), client.delete_transactions(agent)) == (1, 2)
    assert (client.delete_conversation(agent), client.delete_transactions(agent)) == (0, 0)
    assert (client.get_state(agent, "s"), client.get_task(agent, "s")) == (None, None)
    assert (client.get_conversation_history(agent), client.get_transactions(agent)) == ([], [])
    assert (client.get_state(other, "s"), client.get_task(other, "s")) == ({}, {})
    assert (client.get_conversation_history(other), client.get_transactions(other)) == ([{}], [{}, {}])


def test_what_is_older_is_deleted(client: RecordsClient, ids: Ids) -> None:
    for timestamp in ("2001-01-01T00:00:00", "", "2999-01-01T00:00:00"):
        value = {"timestamp": timestamp}
        client.save_state(ids("a"), f"s{timestamp}", value)
        client.save_conversation(ids("c"), value)
    client.save_transactions(ids("c"), [{"timestamp": "2001-01-01T00:00:00"}])
    assert client.delete_older(timedelta(days=3_650)) == 2
    assert client.get_state(ids("a"), "s2001-01-01T00:00:00") is None
    assert [one["timestamp"][:4] for one in client.get_conversation_history(ids("c"))] == ["", "2999"]
    assert len(client.get_transactions(ids("c"))) == 1
    for wrong in (0, -1):
        with pytest.raises(StorageKeyError, match="more than 0"):
            client.delete_older(timedelta(days=wrong))


def test_a_clock_that_is_set_back_changes_no_order(
    client: RecordsClient, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([MOMENT.replace(year=3000, microsecond=9 - number) for number in range(6)])
    monkeypatch.setattr("stores.agents.records.moments.utc_now", lambda: next(clock))
    for number in range(3):
        client.save_conversation(ids("c"), {"number": number})
        client.save_transactions(ids("c"), [{"id": f"{number} {place}", "number": number} for place in range(3)])
    assert [one["number"] for one in client.get_conversation_history(ids("c"))] == [0, 1, 2]
    assert [one["number"] for one in client.get_transactions(ids("c"))] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_40_threads_save_at_once_and_each_finds_its_own_in_its_order(client: RecordsClient, ids: Ids) -> None:
    def work(number: int) -> None:
        client.save_state(ids("agent"), "shared", {"by": number})
        client.save_state(ids("agent"), f"own {number}", {"by": number})
        for place in range(3):
            client.save_conversation(ids("c"), {"by": number, "place": place})
        client.save_transactions(ids("c"), [{"by": number}, {"transaction_id": "shared", "by": number}])
        assert client.get_state(ids("agent"), f"own {number}") == {"by": number}

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(work, range(40)))
    history = client.get_conversation_history(ids("c"))
    assert [[one["place"] for one in history if one["by"] == number] for number in range(40)] == [[0, 1, 2]] * 40
    assert len(history) == 120
    assert len(client.get_transactions(ids("c"))) == 41


def test_two_who_change_a_state_lose_nothing(client: RecordsClient, ids: Ids) -> None:
    states = StateManager(client)
    states.create_initial_state(ids("agent"), "s", {"start": True})

    def add(number: int) -> None:
        for _ in range(3):
            states.update_state(ids("agent"), "s", {f"by {number}": number})
            client.change_state(ids("agent"), "count", lambda present: {"n": (present or {"n": 0})["n"] + 1})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert states.load_state(ids("agent"), "s") == {"start": True} | {f"by {number}": number for number in range(4)}
    assert states.load_state(ids("agent"), "count") == {"n": 12}


def test_a_state_is_created_once(client: RecordsClient, ids: Ids) -> None:
    states = StateManager(cosmos_client=client)
    assert states.cosmos_client is client
    with ThreadPoolExecutor(5) as pool:
        made = list(pool.map(lambda n: states.create_initial_state(ids("agent"), "s", {"by": n}), range(5)))
    assert made == [made[0]] * 5
    assert states.create_initial_state(ids("agent"), "empty") == {}
    states.save_state(ids("agent"), "s", {"saved": 1})
    assert states.create_initial_state(ids("agent"), "s", {"by": 9}) == {"saved": 1}
    assert states.update_state(ids("agent"), "s", {"more": 2}) == {"saved": 1, "more": 2}


def test_a_state_that_is_not_there_is_not_updated(client: RecordsClient, ids: Ids) -> None:
    with pytest.raises(ValueError, match="has no state"):
        StateManager(client).update_state(ids("agent"), "s", {})
    assert client.get_state(ids("agent"), "s") is None
    client.save_state(ids("agent"), "s", {"a": 1})
    with pytest.raises(StorageSerializationError, match="state: "):
        StateManager(client).update_state(ids("agent"), "s", {"b": object()})
    assert client.get_state(ids("agent"), "s") == {"a": 1}


def test_records_are_stored_elsewhere_as_they_are(
    client: RecordsClient, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores.agents.records.in_tables._AT_ONCE", 3)
    monkeypatch.setattr("stores.agents.records.in_cosmos._AT_ONCE", 3)
    for number in range(4):
        client.save_state(ids("a"), f"s{number}\0", VALUES[-number])
        client.save_task(ids("a"), f"t{number}", {"number": number})
        client.save_conversation(ids("c"), {"number": number, "timestamp": f"2026-01-0{4 - number}T00:00:00"})
        client.save_transactions(ids("c"), [{"number": number}, {"id": f"{3 - number}"}])
    other = DatabaseClient(MemoryAdapter(schema=own_schema()))
    for there, here in ((other, client), (client, other)):
        for kind in KINDS:
            for record in here.records.every(kind):
                there.records.put(kind, [record])
        if here is client:
            client.delete_state(ids("a"), "s0\0")
            client.delete_conversation(ids("c"))
    for one in (client, other):
        assert [one.get_state(ids("a"), f"s{number}\0") for number in range(4)] == [VALUES[-n] for n in range(4)]
        assert one.get_task(ids("a"), "t3") == {"number": 3}
        assert [message["number"] for message in one.get_conversation_history(ids("c"))] == [3, 2, 1, 0]
        assert [value.get("id", value.get("number")) for value in one.get_transactions(ids("c"))] == [
            *(0, "3", 1, "2", 2, "1", 3, "0")
        ]

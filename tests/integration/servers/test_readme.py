"""The examples of ``tests/README.md`` are run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from database.backends.faulty import FaultyAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.errors import OutcomeUnknown
from database.core.errors import Unavailable
from database.schema.migrations.runner import upgrade
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import CutAfter
from tests.servers.network.faults import Fault
from tests.servers.network.faults import Latency
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Reset
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase

README = Path(__file__).parents[2] / "README.md"
NAMES = {
    "FaultyAdapter": FaultyAdapter,
    "LoseReply": LoseReply,
    "OutcomeUnknown": OutcomeUnknown,
    "PostgresAdapter": PostgresAdapter,
    "SQLiteAdapter": SQLiteAdapter,
    "Unavailable": Unavailable,
    "asdict": asdict,
    "pytest": pytest,
    "upgrade": upgrade,
}


def example(name: str) -> Callable[..., None]:
    """The function of that name in one of the README's blocks."""
    names: dict[str, Any] = dict(NAMES)
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S):
        exec(compile(block, README, "exec"), names)  # noqa: S102  # our own documentation
    found: Callable[..., None] = names[name]
    return found


def test_the_example_of_a_lost_reply(postgres_database: PostgresDatabase, proxy: Callable[[int], FaultProxy]) -> None:
    example("test_a_lost_reply_is_an_unknown_outcome")(postgres_database, proxy)


def test_the_example_of_a_scripted_fault(tmp_path: Path) -> None:
    example("test_the_third_call_inside_is_cut")(str(tmp_path / "a.db"))


@pytest.mark.parametrize("fault", [Reset(), Blackhole(), Latency(0.01), CutAfter(1), LoseReply(), LoseReply(b"never")])
def test_a_fault_that_nothing_suffers_fails_its_test(
    fault: Fault, postgres_database: PostgresDatabase, proxy: Callable[[int], FaultProxy]
) -> None:
    between = proxy(postgres_database.port)
    with pytest.raises(AssertionError, match=f"{type(fault).__name__} never happened"), between.suffering(fault):
        assert not fault.fired


def test_a_scripted_fault_that_nothing_suffers_fails_its_test(tmp_path: Path) -> None:
    adapter = FaultyAdapter(SQLiteAdapter({"path": str(tmp_path / "a.db")}), config={"retry_count": 0})
    never = pytest.raises(AssertionError, match="did not occur: error_after_commit")
    with never, adapter.faults.expected("refuse", "error_after_commit"), pytest.raises(Unavailable):
        adapter.begin_transaction()
    adapter.disconnect()


def test_a_scripted_fault_lets_so_many_calls_through(tmp_path: Path) -> None:
    adapter = FaultyAdapter(SQLiteAdapter({"path": str(tmp_path / "a.db")}), config={"retry_count": 0})
    adapter.faults.next("refuse", "error_before", skip=2)
    assert [adapter.test_connection()[0] for _ in range(5)] == [True, True, False, False, True]
    adapter.faults.assert_spent()
    adapter.disconnect()


def test_the_block_with_the_fault_tells_its_own_error_first(
    postgres_database: PostgresDatabase, proxy: Callable[[int], FaultProxy]
) -> None:
    with pytest.raises(ZeroDivisionError), proxy(postgres_database.port).suffering(LoseReply()):
        raise ZeroDivisionError

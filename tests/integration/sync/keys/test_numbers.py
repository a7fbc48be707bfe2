"""Sync of tables that their databases number: one side makes the numbers, and the other goes on behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import ConfigurationError
from config.settings import load_settings
from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import InvalidRow
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.result import Row
from database.core.tables.schema import Schema
from database.sync import SyncManager
from database.sync import create_sync_manager
from tests.integration.sync.keys import databases
from tests.integration.sync.keys.databases import SCHEMA

PAIRS = {
    "memory-sqlite": (databases.memory, databases.sqlite),
    "postgres-sqlite": (databases.postgres, databases.sqlite),
    "postgres-convex": (databases.postgres, databases.convex),
    "supabase-sqlite": (databases.supabase, databases.sqlite),
}
TABLES = ("orders", "invoices")

Sides = tuple[DatabaseAdapter, DatabaseAdapter]


@pytest.fixture(params=PAIRS)
def sides(request: pytest.FixtureRequest) -> Iterator[Sides]:
    """Two databases of which each numbers records."""
    with databases.two_of(PAIRS[request.param], request) as made:
        yield made


def _sync(sides: Sides, numbers: Any = "first") -> None:
    """A cycle in a new process."""
    manager = SyncManager(*sides, sync_tables=TABLES, sync_numbers=numbers)
    assert manager.sync_all(), manager.get_sync_status()


def _contents(adapter: DatabaseAdapter) -> dict[str, list[Row]]:
    return {table: adapter.run(Select(table)).rows for table in TABLES}


def _order(adapter: DatabaseAdapter, name: str = "made") -> int:
    number: int = adapter.run(Insert("orders", [{"name": name}])).rows[0]["order_no"]
    return number


def test_one_side_makes_the_numbers(sides: Sides) -> None:
    first, second = sides
    orders = [_order(first, name) for name in "abc"]
    first.run(Insert("invoices", [{"owner_id": "x", "order_no": number} for number in orders]))
    _sync(sides)
    assert _contents(second) == _contents(first)
    second.run(Update("orders", {"name": "changed"}, orders[0]))
    second.run(Delete("invoices", _contents(second)["invoices"][0]["id"]))
    _order(first, "d")
    _sync(sides)
    assert _contents(second) == _contents(first)
    assert [row["name"] for row in _contents(first)["orders"]] == ["changed", "b", "c", "d"]
    assert len(_contents(first)["invoices"]) == 2


def test_the_other_side_requires_the_key(sides: Sides) -> None:
    first, second = sides
    SyncManager(*sides, sync_tables=TABLES, sync_numbers="first")
    missing = (
        Insert("orders", [{"order_no": -1}, {"name": "x"}]),
        Upsert("orders", [{"order_no": -1}, {"name": "x"}]),
        Batch((Insert("orders", [{"order_no": -1}, {"name": "x"}]),)),
        Insert("invoices", [{"owner_id": "x"}]),
    )
    for operation in missing:
        with pytest.raises(InvalidRow, match=r"numbered by first \(sync_numbers\): create the record there"):
            second.run(operation)
        with pytest.raises(InvalidRow, match="numbered by first"), second.transaction():
            second.run(operation)
    assert _contents(second) == {"orders": [], "invoices": []}
    second.run(Insert("orders", [{"order_no": -1, "name": "given"}]))
    _order(first)
    _sync(sides)
    assert _contents(second) == _contents(first)
    assert len(_contents(first)["orders"]) == 2


def test_numbers_go_on_behind_copied_keys_on_both_sides(sides: Sides) -> None:
    """Keys that were given on the other side, and a change of sides, as when a database moves."""
    first, second = sides
    _order(first)
    SyncManager(*sides, sync_tables=TABLES, sync_numbers="first")
    second.run(Insert("orders", [{"order_no": number, "name": "given"} for number in (2, 3, 90)]))
    _sync(sides)
    assert _order(first, "behind") > 90
    first.run(Insert("invoices", [{"owner_id": "x"}] * 3))
    _sync(sides)
    moved = second.__class__(second.config, SCHEMA, "second") if second.kind != "memory" else second
    with ExitStack() as closing:
        closing.callback(moved.disconnect)
        made = [_order(moved, "moved") for _ in range(2)]
        made += [moved.run(Insert("invoices", [{"owner_id": "y"}])).rows[0]["id"]]
        assert made[1] > made[0] > 91
        assert made[2] > 3
        _sync((first, moved), "second")
        assert _contents(moved) == _contents(first)
        with pytest.raises(InvalidRow, match="numbered by second"):
            _order(first)


def test_the_side_must_be_chosen() -> None:
    first, second = (MemoryAdapter({}, SCHEMA, name=name) for name in ("first", "second"))
    with pytest.raises(ConfigurationError, match=r"sync_numbers.*must be chosen.*orders .*order_no.*first or second"):
        SyncManager(first, second, sync_tables=["orders"])
    with pytest.raises(ConfigurationError, match=r"sync_numbers.*first or second"):
        SyncManager(first, second, sync_tables=["orders"], sync_numbers="both")  # type: ignore[arg-type]
    SyncManager(first, second, sync_tables=["elements"])
    config = {"sync_interval": 60, "sync_tables": ["orders"], "conflict_resolution": "last_modified"}
    create_sync_manager(first, second, {**config, "sync_numbers": "convex"})
    with pytest.raises(InvalidRow, match="numbered by second"):
        _order(first)
    assert _order(second) == 1


def test_a_side_that_does_not_number_cannot_be_chosen() -> None:
    other = sa.MetaData()
    columns = [sa.Column(name, sa.Text) for name in ("name",)]
    key = sa.Column("order_no", sa.BigInteger, primary_key=True, autoincrement=False)
    sa.Table("orders", other, key, *columns, sa.Column("data", sa.JSON))
    second = MemoryAdapter({}, Schema.of(other, internal_tables.metadata), name="second")
    first = MemoryAdapter({}, SCHEMA, name="first")
    SyncManager(first, second, sync_tables=["orders"])
    SyncManager(first, second, sync_tables=["orders"], sync_numbers="first")
    with pytest.raises(ConfigurationError, match=r"sync_numbers.*second does not number the records of table orders"):
        SyncManager(first, second, sync_tables=["orders"], sync_numbers="second")


@pytest.mark.parametrize(("numbers", "maker"), [("first", "one"), ("supabase", "one"), ("second", "two")])
def test_every_process_of_the_application_knows_the_setting(numbers: str, maker: str) -> None:
    adapters = {name: MemoryAdapter({}, SCHEMA, name=name) for name in ("one", "two")}
    settings = load_settings(None, ENVIRONMENT="testing", CONVEX_SYNC_NUMBERS=numbers, CONVEX_SYNC_TABLES="orders")
    ConnectionManager(settings, adapters, SCHEMA)
    assert _order(adapters.pop(maker)) == 1
    (other,) = adapters.values()
    with pytest.raises(InvalidRow, match=f"numbered by {maker}"):
        _order(other)
    assert other.run(Insert("invoices", [{"owner_id": "x"}])).count == 1

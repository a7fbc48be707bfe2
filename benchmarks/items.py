"""The table that the SQL benchmarks work on, and the four things that every contender does with it.

Seven columns and 100,000 rows in 200 categories of different prices. A point read is by id; a page is the hundred
cheapest rows of a category, sorted by price and id; an insert is one row and its commit; a batch is a thousand
rows in one transaction. Every row that is written is new, because a database may skip writing what is there already.
"""

from __future__ import annotations

import random
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import sqlalchemy as sa

from benchmarks.harness import per_item
from benchmarks.harness import report
from config.tables import text
from database.core.schema import Schema
from database.core.schema import new_id

Item = dict[str, Any]

PAGE = 100
"""Rows of a page."""

BATCH = 1_000
"""Rows of a batch."""

MOST_PRICE = 50.0
"""Every page is of rows cheaper than this, and every category has more than enough of them."""

_ROWS = 100_000
_CATEGORIES = 200
_DEAREST = 100.0

metadata = sa.MetaData()
items = sa.Table(
    "items",
    metadata,
    sa.Column("id", text(), primary_key=True),
    sa.Column("name", text(), nullable=False),
    sa.Column("category", text(), nullable=False),
    sa.Column("price", sa.Double, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("added", text(), nullable=False),
    sa.Column("notes", text(), nullable=False),
    sa.Index("ix_items_page", "category", "price", "id"),
    info={"access": {"read": "user", "write": "user"}},
)
SCHEMA = Schema.of(metadata)
COLUMNS = tuple(items.columns.keys())

_NAMES = ", ".join(COLUMNS)
_HOLES = ", ".join("?" for _ in COLUMNS)
POINT = f"select {_NAMES} from items where id = ?"  # noqa: S608 - a constant of constants
CHEAPEST = f"select {_NAMES} from items where category = ? and price < ? order by price, id limit ?"  # noqa: S608
INSERT = f"insert into items ({_NAMES}) values ({_HOLES})"  # noqa: S608


class Contender(ABC):
    """One way to work on the table."""

    @abstractmethod
    def point(self, key: str) -> object:
        """The item with this id."""

    @abstractmethod
    def page(self, category: str) -> Sequence[object]:
        """The first ``PAGE`` items of the category below ``MOST_PRICE``, by price and id."""

    @abstractmethod
    def insert(self, item: Item) -> object:
        """Add an item and commit."""

    @abstractmethod
    def batch(self, batch: list[Item]) -> object:
        """Add ``BATCH`` items, all or none."""


def create(url: str) -> None:
    """Make the table at SQLAlchemy's ``url`` and fill it."""
    engine = sa.create_engine(url)
    draw = random.Random(1)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(sa.insert(items), [_item(_key(number), draw) for number in range(_ROWS)])
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("analyze items")
    engine.dispose()


def measure(where: str, contenders: Mapping[str, Contender], *, baseline: str, rounds: int) -> None:
    """Check that all contenders do the same, then measure them, a table for each of the four things.

    :param where: the database and its settings, for the titles.
    :param baseline: the contender that the ratios are to.
    """
    draw = random.Random(2)
    # The same in every round, so that nobody waits for the disk.
    keys = [_some_key(draw) for _ in range(500)]
    categories = [_some_category(draw) for _ in range(20)]
    for name, contender in contenders.items():
        _check(name, contender, draw)
    things: tuple[tuple[str, Callable[[Contender], Callable[[Any], object]], Callable[[], Sequence[Any]]], ...] = (
        ("point read", lambda one: one.point, lambda: keys),
        (f"{PAGE} rows", lambda one: one.page, lambda: categories),
        ("insert and commit", lambda one: one.insert, lambda: _new_items(draw, 200)),
        (f"batch of {BATCH:,}", lambda one: one.batch, lambda: [_new_items(draw, BATCH) for _ in range(3)]),
    )
    for title, method, arguments in things:
        cases = {name: per_item(method(contender), arguments) for name, contender in contenders.items()}
        report(f"{where}: {title}", cases, baseline=baseline, rounds=rounds)


def record(row: Sequence[Any]) -> Item:
    """A driver's tuple as a dictionary."""
    return dict(zip(COLUMNS, row))  # noqa: B905 - as fast as it can be done by hand


def records(rows: Iterable[Sequence[Any]]) -> list[Item]:
    """A driver's tuples as dictionaries; faster than a comprehension."""
    return list(map(dict, map(zip, repeat(COLUMNS), rows)))


def _check(name: str, contender: Contender, draw: random.Random) -> None:
    key = _some_key(draw)
    assert _as_record(contender.point(key))["id"] == key, name
    category = _some_category(draw)
    page = [_as_record(row) for row in contender.page(category)]
    assert len(page) == PAGE, name
    assert {row["category"] for row in page} == {category}, name
    assert page == sorted(page, key=lambda row: (row["price"], row["id"])), name
    item, *others = _new_items(draw, BATCH + 1)
    contender.insert(item)
    contender.batch(others)
    assert [_as_record(contender.point(one["id"])) for one in (item, others[-1])] == [item, others[-1]], name


def _as_record(row: Any) -> Item:
    return row if isinstance(row, dict) else record(row)


def _new_items(draw: random.Random, number: int) -> list[Item]:
    return [_item(new_id(), draw) for _ in range(number)]


def _item(key: str, draw: random.Random) -> Item:
    return {
        "id": key,
        "name": f"item {key}",
        "category": _some_category(draw),
        "price": draw.random() * _DEAREST,
        "quantity": draw.randrange(50),
        "added": "2026-01-01T00:00:00Z",
        "notes": "n" * 60,
    }


def _key(number: int) -> str:
    return f"0190-{number:08}"


def _some_key(draw: random.Random) -> str:
    return _key(draw.randrange(_ROWS))


def _some_category(draw: random.Random) -> str:
    return f"category {draw.randrange(_CATEGORIES)}"

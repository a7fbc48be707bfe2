"""The table of the SQL benchmarks, and the five tasks that every contender performs on it.

Seven columns and 100,000 rows in 200 categories of different prices. A point read is by id; a page is the hundred
cheapest rows of a category, sorted by price and id; an insert is one row and its commit; a batch is a thousand
rows in one transaction; a transaction reads one row by id and counts its quantity up. Every value that is written is
new, because a database may skip writing an unchanged value.
"""

from __future__ import annotations

import random
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import repeat
from typing import Any
from typing import TypeVar

import sqlalchemy as sa

from benchmarks.harness import compare
from benchmarks.harness import per_item
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import Schema
from database.columns import text
from database.core.tables.schema import new_id

Item = dict[str, Any]
Make = TypeVar("Make")

PAGE = 100
"""Rows of a page."""

BATCH = 1_000
"""Rows of a batch."""

MOST_PRICE = 50.0
"""Pages contain rows below this price; every category has more of them than a page."""

POINT_READ = "point read"
ROWS = f"{PAGE} rows"
ONE_INSERT = "insert and commit"
MANY_INSERTS = f"batch of {BATCH:,}"
TRANSACTION = "transaction of one read and one update"

_ROWS = 100_000
_ROWS_OF_A_CATEGORY = 500
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
UPDATE = "update items set quantity = ? where id = ?"


class Contender(ABC):
    """One library or driver that performs the tasks."""

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
        """Add ``BATCH`` items atomically."""

    @abstractmethod
    def count_up(self, key: str) -> object:
        """Read the item with this id and write its quantity plus one, in one transaction."""


def create(url: str, plan: Plan) -> None:
    """Create and fill the table in the database at SQLAlchemy's ``url``."""
    engine = sa.create_engine(url)
    data = _Data(plan, seed=1)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(sa.insert(items), [data.item(_key(number)) for number in range(data.rows)])
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("analyze items")
    engine.dispose()


def measure(
    where: str, contenders: Mapping[str, Contender], *, baseline: str, plan: Plan, note: str
) -> Iterator[Table]:
    """Check that all contenders return the same results, then measure them; yields a table for each task.

    :param where: the database, for the titles.
    :param baseline: the contender to which the ratios refer.
    :param note: the database's settings.
    """
    if "sqlspec" not in contenders:
        note += "; without sqlspec, which is not installed"
    data = _Data(plan, seed=2)
    # The same rows in every round, so that they are cached and no contender waits for the disk.
    keys = [data.some_key() for _ in range(plan.of(500))]
    categories = [data.some_category() for _ in range(plan.of(20))]
    for name, contender in contenders.items():
        _check(name, contender, data)
    things: Mapping[str, tuple[Callable[[Contender], Callable[[Any], object]], Callable[[], Sequence[Any]]]] = {
        POINT_READ: (lambda one: one.point, lambda: keys),
        ROWS: (lambda one: one.page, lambda: categories),
        ONE_INSERT: (lambda one: one.insert, lambda: data.new_items(plan.of(200))),
        MANY_INSERTS: (lambda one: one.batch, lambda: [data.new_items(BATCH) for _ in range(plan.of(3))]),
        TRANSACTION: (lambda one: one.count_up, lambda: keys[: plan.of(200)]),
    }
    for thing, (method, arguments) in things.items():
        cases = {name: per_item(method(contender), arguments) for name, contender in contenders.items()}
        yield compare(f"{where}: {thing}", cases, baseline=baseline, plan=plan, note=note)


def sql_lines(where: str, case: str, targets: Mapping[str, tuple[str, float]]) -> tuple[Line, ...]:
    """The document's lines for a database.

    :param targets: the baseline and the target of each task.
    """
    return tuple(
        Line(f"{where} {thing}", f"{where}: {thing}", case, against, target)
        for thing, (against, target) in targets.items()
    )


def installed(makers: Mapping[str, Make]) -> dict[str, Make]:
    """All contenders, without ``sqlspec`` if it is not installed: it is too heavy for the tests."""
    return {name: make for name, make in makers.items() if name != "sqlspec" or find_spec("sqlspec")}


def record(row: Sequence[Any]) -> Item:
    """A driver's tuple as a dictionary."""
    return dict(zip(COLUMNS, row))  # noqa: B905 - the fastest way without a library


def records(rows: Iterable[Sequence[Any]]) -> list[Item]:
    """A driver's tuples as dictionaries; faster than a comprehension."""
    return list(map(dict, map(zip, repeat(COLUMNS), rows)))


class _Data:
    """Rows, keys and categories; random, but the same in every run.

    :ivar rows: the number of rows of the table.
    """

    def __init__(self, plan: Plan, *, seed: int) -> None:
        self.rows = plan.of(_ROWS)
        self._draw = random.Random(seed)

    def new_items(self, number: int) -> list[Item]:
        """New items with unused ids."""
        return [self.item(new_id()) for _ in range(number)]

    def item(self, key: str) -> Item:
        """An item with this id."""
        return {
            "id": key,
            "name": f"item {key}",
            "category": self.some_category(),
            "price": self._draw.random() * _DEAREST,
            "quantity": self._draw.randrange(50),
            "added": "2026-01-01T00:00:00Z",
            "notes": "n" * 60,
        }

    def some_key(self) -> str:
        """The id of an item that the table has."""
        return _key(self._draw.randrange(self.rows))

    def some_category(self) -> str:
        """A category that the table has."""
        return f"category {self._draw.randrange(self.rows // _ROWS_OF_A_CATEGORY)}"


def _check(name: str, contender: Contender, data: _Data) -> None:
    key = data.some_key()
    before = _as_record(contender.point(key))
    assert before["id"] == key, name
    contender.count_up(key)
    assert _as_record(contender.point(key)) == {**before, "quantity": before["quantity"] + 1}, name
    category = data.some_category()
    page = [_as_record(row) for row in contender.page(category)]
    assert len(page) == PAGE, name
    assert {row["category"] for row in page} == {category}, name
    assert page == sorted(page, key=lambda row: (row["price"], row["id"])), name
    item, *others = data.new_items(BATCH + 1)
    contender.insert(item)
    contender.batch(others)
    assert [_as_record(contender.point(one["id"])) for one in (item, others[-1])] == [item, others[-1]], name


def _as_record(row: Any) -> Item:
    return row if isinstance(row, dict) else record(row)


def _key(number: int) -> str:
    return f"0190-{number:08}"

"""The table of the HTTP benchmarks, and the three tasks that every contender performs on it.

It is the table ``molecules`` of the tests' application. A get is by id, a page is the first hundred rows by id, an
insert is one row. The other contenders send the same requests as Isthmus, so that the server does the same work; they
validate and convert nothing.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import count
from typing import Any

from benchmarks.harness import compare_by_turns
from benchmarks.plan import Plan
from benchmarks.table import Table
from database import DatabaseAdapter
from database import Insert
from database import Select
from database.core.tables.schema import new_id
from tests.laboratory.config.tables import molecules

Record = dict[str, Any]

TABLE = molecules.name
COLUMNS = tuple(molecules.columns.keys())

PAGE = 100
"""Rows of a page."""

MOMENT = "2026-01-01T00:00:00.000000Z"
"""The creation time of the records of the other contenders."""

GET = "get"
ROWS = f"{PAGE} rows"
INSERT = "insert"

_ROWS = 2 * PAGE
_GETS = 30
_PAGES = 10
_INSERTS = 30
_numbers = count()


class Contender(ABC):
    """One library or client that performs the tasks."""

    @abstractmethod
    def get(self, key: str) -> Any:
        """The record with this id."""

    @abstractmethod
    def page(self, size: int) -> Sequence[Any]:
        """The first ``size`` records by id."""

    @abstractmethod
    def insert(self, record: Record) -> object:
        """Add a record."""


class Isthmus(Contender):
    """Operations passed to the adapter."""

    def __init__(self, adapter: DatabaseAdapter) -> None:
        self._adapter = adapter

    def get(self, key: str) -> Any:
        return self._adapter.get(TABLE, key)

    def page(self, size: int) -> Sequence[Any]:
        return self._adapter.run(Select(TABLE, limit=size)).rows

    def insert(self, record: Record) -> object:
        return self._adapter.run(Insert(TABLE, [record]))


def fill(adapter: DatabaseAdapter) -> list[str]:
    """Add more rows than a page has; returns their ids."""
    return [row["id"] for row in adapter.run(Insert(TABLE, new_records(_ROWS))).rows]


def new_records(number: int) -> list[Record]:
    """New records, without the columns that an adapter fills in."""
    return [
        {"id": new_id(), "name": f"molecule {next(_numbers)}", "formula": "C8H10N4O2", "properties": {"mass": 194.19}}
        for _ in range(number)
    ]


def measure(
    where: str,
    contenders: Mapping[str, Contender],
    keys: Sequence[str],
    *,
    baseline: str,
    plan: Plan,
    before_inserts: Callable[[], None] = lambda: None,
) -> Iterator[Table]:
    """Check that all contenders return the same results, then measure them; yields a table for each task.

    :param where: the backend, for the titles.
    :param keys: ids of existing records.
    :param before_inserts: is called before the inserts of a round; its time is not measured.
    """

    def inserts() -> Sequence[Record]:
        before_inserts()
        return new_records(plan.of(_INSERTS))

    for name, contender in contenders.items():
        _check(name, contender, keys)
    things: tuple[tuple[str, Callable[[Contender], Callable[[Any], object]], Callable[[], Sequence[Any]]], ...] = (
        (GET, lambda one: one.get, lambda: keys[: plan.of(_GETS)]),
        (ROWS, lambda one: one.page, lambda: [PAGE] * plan.of(_PAGES)),
        (INSERT, lambda one: one.insert, inserts),
    )
    for title, method, arguments in things:
        functions = {name: method(contender) for name, contender in contenders.items()}
        yield compare_by_turns(f"{where}: {title}", functions, arguments, baseline=baseline, plan=plan)


def _check(name: str, contender: Contender, keys: Sequence[str]) -> None:
    assert contender.get(keys[0])["id"] == keys[0], name
    assert [record["id"] for record in contender.page(PAGE)] == sorted(keys)[:PAGE], name
    [record] = new_records(1)
    contender.insert(record)
    found = contender.get(record["id"])
    assert (found["name"], found["formula"]) == (record["name"], record["formula"]), name

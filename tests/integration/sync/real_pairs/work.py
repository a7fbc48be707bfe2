"""Users and other programs that change, insert and delete records on both sides, of whose work nothing may be lost."""

from __future__ import annotations

from collections import Counter
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from functools import partial
from itertools import count
from random import Random
from time import monotonic
from time import sleep
from typing import Final

import psycopg

from database.core.clock import utc_now
from database.core.context import as_application
from database.core.errors import BackendError
from database.core.errors import ConstraintViolated
from database.core.errors import OutcomeUnknown
from database.core.errors import SerializationFailure
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Update
from database.core.query.filters import Where
from database.core.result import Row
from tests.integration.sync.real_pairs.places import Place

PATIENCE: Final = 60.0  # seconds; only a broken server needs them

TABLES: Final = {"molecules": "formula", "protocols": "description"}
"""The tables that are worked on, and a column of each beside the name."""

_DELETIONS: Final = 0.2
"""The share of changes of records that are there."""

Record = tuple[str, str]


class Users:
    """They work on records of either side, and know which versions they have seen.

    Every version has a name of its own. Who changes a record has seen the version before it, or does nothing.

    :ivar made: how many changes were made, by kind.
    """

    def __init__(self, random: Random, places: tuple[Place, Place], records: int) -> None:
        self._random = random
        self._places = places
        self._records = records
        # A third of all changes, on the sides that have SQL.
        self._sql_share = 2 / 3 if any(place.sql is None for place in places) else 1 / 3
        self._names = (f"v{number}" for number in count())
        self._parents: dict[str, frozenset[str]] = {}
        self._sure: set[str] = set()
        self._deleted: defaultdict[Record, set[str]] = defaultdict(set)
        self.made: Counter[str] = Counter()

    def work(self, changes: int) -> None:
        """Make that many changes."""
        until = sum(self.made.values()) + changes
        while sum(self.made.values()) < until:
            place = self._random.choice(self._places)
            record = self._random.choice([*TABLES]), f"r{self._random.randrange(self._records)}"
            by_sql = place.sql is not None and self._random.random() < self._sql_share
            change = partial(self._change, place, record, by_sql=by_sql)
            _persistently(partial(change, deletes=self._random.random() < _DELETIONS))

    def lost(self, rows: Iterable[tuple[Record, str]], journalled: Iterable[str]) -> set[str]:
        """The versions that are neither part of a row, nor of a deletion, nor in the journal.

        :param rows: all records that are there, with their versions.
        :param journalled: the versions in the journal.
        """
        kept = self._with_ancestors([name for _, name in rows])
        kept |= self._with_ancestors(journalled)
        return self._sure - kept - self._with_ancestors(set().union(*self._deleted.values()))

    def _with_ancestors(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            if (name := waiting.pop()) not in found:
                found.add(name)
                waiting += self._parents[name]
        return found

    def _change(self, place: Place, record: Record, *, deletes: bool, by_sql: bool) -> None:
        name = next(self._names)  # another one each time, because the former one may be there
        with as_application():
            seen = place.adapter.run(Get(record[0], record[1])).first
        kind = "insert" if seen is None else "delete" if deletes else "update"
        self._parents[name] = frozenset(self._deleted[record] if seen is None else {seen["name"]})
        make = self._by_sql if by_sql else self._by_adapter
        try:
            made = make(place, kind, record, seen, name)
        except (OutcomeUnknown, psycopg.OperationalError):
            # Perhaps: then who has deleted it has seen it, and of a new version nothing can be demanded.
            if kind == "delete" and seen is not None:
                self._deleted[record].add(seen["name"])
            raise
        if made:
            self._note(kind, record, seen, name)
            self.made[f"{kind} by {'SQL' if by_sql else 'an adapter'}"] += 1

    def _note(self, kind: str, record: Record, seen: Row | None, name: str) -> None:
        if kind == "delete" and seen is not None:
            self._deleted[record].add(seen["name"])
        else:
            self._sure.add(name)

    def _by_adapter(self, place: Place, kind: str, record: Record, seen: Row | None, name: str) -> bool:
        """:returns: whether the record was still as it was seen."""
        table, key = record
        values = {"name": name} | ({TABLES[table]: self._text()} if self._random.random() < 0.5 else {})
        with as_application():
            if seen is None:
                return _unless_taken(lambda: place.adapter.run(Insert(table, [{"id": key, **values}])))
            as_seen = Where("id", "eq", key) & Where("name", "eq", seen["name"])
            if kind == "delete":
                return place.adapter.run(Delete(table, where=as_seen)).count == 1
            return place.adapter.run(Update(table, values, where=as_seen)).count == 1

    def _by_sql(self, place: Place, kind: str, record: Record, seen: Row | None, name: str) -> bool:
        """:returns: whether the record was still as it was seen."""
        table, key = record
        column, value = TABLES[table], self._text()
        if seen is None:
            names, now = f"id, name, {column}, created_at, updated_at, version", utc_now().isoformat()
            text = f"insert into {table} ({names}) values (%s, %s, %s, %s, %s, 1) on conflict do nothing"
            return place.execute(text, [key, name, value, now, now]) == 1
        if kind == "delete":
            return place.execute(f"delete from {table} where id = %s and name = %s", [key, seen["name"]]) == 1
        text = f"update {table} set name = %s, {column} = %s where id = %s and name = %s"
        return place.execute(text, [name, value, key, seen["name"]]) == 1

    def _text(self) -> str:
        return f"text {self._random.getrandbits(40):x} é\U0001f642'"


def _unless_taken(insert: Callable[[], object]) -> bool:
    try:
        insert()
    except ConstraintViolated:
        return False  # sync was faster
    return True


def _persistently(work: Callable[[], None]) -> None:
    """Do something as soon as the server is there."""
    for _ in _attempts():
        try:
            return work()
        except (BackendError, SerializationFailure, psycopg.OperationalError):
            sleep(0.02)
    raise AssertionError("the server does not come back")


def _attempts() -> Iterator[None]:
    until = monotonic() + PATIENCE
    while monotonic() < until:
        yield

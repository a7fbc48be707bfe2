"""Random work on both databases, by the application and by other programs, of which nothing may be lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any
from typing import Final
from uuid import UUID

import apsw
import psycopg

from database.backends.memory.constraints import Reference
from database.backends.memory.constraints import constraints_of
from database.backends.memory.constraints import references
from database.backends.memory.constraints import referrers
from database.core.context import as_application
from database.core.errors import ConstraintViolated
from database.core.kinds.arrays import Arrays
from database.core.kinds.calendar import LOCAL_TIMESTAMP
from database.core.kinds.decimals import Decimals
from database.core.kinds.enums import Enums
from database.core.kinds.uuids import UUIDS
from database.core.kinds.values import INTEGER
from database.core.kinds.values import TEXT
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.result import Row
from database.core.tables.keys import address_of
from database.core.tables.keys import key_of
from database.core.tables.keys import parts_of
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema
from tests.integration.sync.adopted.conftest import USERS
from tests.integration.sync.adopted.conftest import Place

MARKS: Final = {
    "Odd Table": "Full Name", "actor": "first_name", "album": "title", "artist": "name", "category": "name",
    "channels": "slug", "customer": "email", "employee": "last_name", "film": "title", "genre": "name",
    "invoice": "billing_country", "language": "name", "located": "label", "media_type": "name", "messages": "message",
    "playlist": "name", "profiles": "username", "todos": "task", "track": "name", "users": "username",
    "versions": "label",
}  # fmt: skip
"""The column of each table that says which version a row is."""

LEFT_TO_THE_DATABASE: Final = {("film", "title_length")}
_WITHIN: Final = {"release_year": (1901, 2155), "quantity": (1, 9), "replacement_cost": (1, 9)}
"""Of constraints of the database that are not declared."""

_USER_COLUMNS: Final = {("profiles", "id"), ("users", "id"), ("todos", "user_id")}


class Worker:
    """Works on both sides.

    Records of tables with unique values are changed on one side each, because no sync can resolve it when both sides
    give one value to different records.
    """

    def __init__(self, seed: int, first: Place, second: Place) -> None:
        self.random = Random(seed)
        self.places = (first, second)
        known = [table for table in first.adapter.schema if table.name in second.adapter.schema]
        self.tables = {table.name: table for table in known if self._is_worked_on(table)}
        self.order = list(self.tables)
        self._numbers = count(1)
        self._ancestors: dict[str, set[str]] = {}
        self._deleted: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._gone: set[tuple[str, Any]] = set()
        self.log: list[str] = []

    @staticmethod
    def _is_worked_on(table: TableSchema) -> bool:
        # The trigger of this one refuses every record.
        return not (table.internal or table.source.info.get("read_only") or table.name == "filled")

    def work(self, changes: int) -> None:
        """Make that many changes on both sides together."""
        for _ in range(changes):
            side = self.random.randrange(2)
            act = self.random.choices(
                [self._insert, self._update, self._update_by_sql, self._delete, self._delete_by_sql, self._exchange],
                [8, 6, 6, 1, 1, 3],
            )[0]
            table = self.tables[self.random.choice(self.order)]
            try:
                with as_application():
                    act(side, table)
            except (ConstraintViolated, psycopg.IntegrityError, apsw.ConstraintError) as error:
                self.log.append(f"  refused on {side}, {table.name}: {error}")

    # By the application

    def _insert(self, side: int, table: TableSchema) -> None:
        row = self._row(side, table)
        if row is not None:
            self.log.append(f"{side}: insert {table.name} {row}")
            self.places[side].adapter.run(Insert(table.name, [row]))
            self._note(table, None, self._stored(side, table, row))

    def _update(self, side: int, table: TableSchema) -> None:
        present = self._pick(side, table)
        if present is None:
            return
        free = [name for name in table.columns if self._is_free(table, name)]
        names = self.random.sample(free, min(len(free), self.random.randint(1, 3)))
        values = {name: value for name in names if (value := self._value(side, table, name)) is not None}
        values |= self._mark(table, present)
        if values:
            self.log.append(f"{side}: update {table.name} {key_of(table, present)} {values}")
            self.places[side].adapter.run(Update(table.name, values, key_of(table, present)))
            self._note(table, present, self._stored(side, table, present))

    def _delete(self, side: int, table: TableSchema) -> None:
        if (present := self._pick(side, table)) is not None:
            key = key_of(table, present)
            self._deleting(side, table, present, lambda: self.places[side].adapter.run(Delete(table.name, key)))

    def _exchange(self, side: int, table: TableSchema) -> None:
        """Records give each other their unique values, in one transaction, past the application or by it."""
        sets = [one.columns for one in constraints_of(table).unique]
        choices = [(names, name) for names in sets for name in names if self._is_swappable(table, name)]
        rows = [row for row in self.places[side].rows(table.name) if self._may_change(side, table, row)]
        if not choices or not rows:
            return
        names, column = self.random.choice(choices)
        # Those with the same values in the other columns, so that no combination is new.
        rest = [name for name in names if name != column]
        one = self.random.choice(rows)
        rows = [row for row in rows if [row[name] for name in rest] == [one[name] for name in rest]]
        some = self.random.sample(rows, min(len(rows), self.random.randint(2, 4)))
        new = {key_of(table, row): some[place - 1][column] for place, row in enumerate(some)}
        self.log.append(f"{side}: exchange {table.name}.{column} {new}")
        place = self.places[side]
        if place.kind == "convex" or self.random.random() < 0.5:
            with place.adapter.transaction():
                for spare in (True, False):
                    for key, value in new.items():
                        made = self._value(side, table, column) if spare else value
                        place.adapter.run(Update(table.name, {column: made}, key))
        else:
            statements = []
            for spare in (True, False):
                for row, value in zip(some, new.values(), strict=True):
                    made = self._value(side, table, column) if spare else value
                    statements.append(
                        (
                            f"update {_q(table.name)} set {_q(column)} = %s where {_key(table)}",
                            [made, *_parts(table, row)],
                        )
                    )
            _run(place, statements)
        for row in some:
            self._note(table, row, self._stored(side, table, row))

    # Past the application

    def _update_by_sql(self, side: int, table: TableSchema) -> None:
        place = self.places[side]
        present = self._pick(side, table)
        free = [name for name in table.columns if self._is_free(table, name) and self._is_plain(table.columns[name])]
        if place.kind == "convex" or present is None or not free:
            return
        name = self.random.choice(free)
        values = {name: self._value(side, table, name), **self._mark(table, present)}
        self.log.append(f"{side}: SQL update {table.name} {key_of(table, present)} {values}")
        text = f"update {_q(table.name)} set {', '.join(f'{_q(one)} = %s' for one in values)} where {_key(table)}"
        _run(place, [(text, [*values.values(), *_parts(table, present)])])
        self._note(table, present, self._stored(side, table, present))

    def _delete_by_sql(self, side: int, table: TableSchema) -> None:
        place = self.places[side]
        if place.kind == "convex" or (present := self._pick(side, table)) is None:
            return
        text = f"delete from {_q(table.name)} where {_key(table)}"
        self._deleting(side, table, present, lambda: _run(place, [(text, [*_parts(table, present)])]))

    # What is chosen

    def _pick(self, side: int, table: TableSchema) -> Row | None:
        rows = [row for row in self.places[side].rows(table.name) if self._may_change(side, table, row)]
        return self.random.choice(rows) if rows else None

    def _may_change(self, side: int, table: TableSchema, row: Row) -> bool:
        return not constraints_of(table).unique or sum(address_of(table, row).encode()) % 2 == side

    def _is_free(self, table: TableSchema, name: str) -> bool:
        unique = {column for one in constraints_of(table).unique for column in one.columns}
        own = {*table.key, *unique, MARKS.get(table.name)}
        return name not in own and (table.name, name) not in LEFT_TO_THE_DATABASE

    @staticmethod
    def _is_swappable(table: TableSchema, name: str) -> bool:
        if name in table.key:
            return False
        return table.columns[name].kind is TEXT and not isinstance(table.columns[name].checks, Enums)

    @staticmethod
    def _is_plain(column: Column) -> bool:
        """Whether another program writes the values to every database as they are."""
        return column.checks is TEXT or (column.kind is INTEGER and not column.checks.scaled)

    def _row(self, side: int, table: TableSchema) -> Row | None:
        """A new row, if there are the records that it must refer to."""
        row: Row = {}
        for name, column in table.columns.items():
            made = column.server_default and self.places[side].kind == "postgres"
            if (table.name, name) in LEFT_TO_THE_DATABASE:
                row |= {} if made else {name: None}
                continue
            left_out = (column.nullable or made) and name not in table.key and self.random.random() < 0.3
            value = None if left_out else self._value(side, table, name)
            if value is not None or column.nullable:
                row[name] = value
            elif not made:
                return None
        present = {key_of(table, one) for place in self.places for one in place.rows(table.name)}
        if key_of(table, row) in present or not self._may_change(side, table, row):
            return None
        for one in constraints_of(table).unique:
            values = [row.get(name) for name in one.columns]
            known = [[other[name] for name in one.columns] for place in self.places for other in place.rows(table.name)]
            if values in known:
                return None
        return row | self._mark(table, None)

    def _mark(self, table: TableSchema, present: Row | None) -> Row:
        if table.name not in MARKS:
            return {}
        return {MARKS[table.name]: f"version {next(self._numbers)}"}

    def _value(self, side: int, table: TableSchema, name: str) -> Any:
        for reference in references(table):
            if name in reference.columns:
                others = self._parents(side, reference)
                other = reference.others[reference.columns.index(name)]
                return self.random.choice(others)[other] if others else None
        if (table.name, name) in _USER_COLUMNS:
            return self.random.choice(USERS)
        return self._of_kind(table.columns[name])

    def _parents(self, side: int, reference: Reference) -> list[Row]:
        """The records to refer to; not one that was deleted on the other side, unless these go with it."""
        others, table = self.places[side].rows(reference.other), self.tables[reference.other]
        if reference.action == "CASCADE":
            return others
        return [row for row in others if (reference.other, key_of(table, row)) not in self._gone]

    def _is_referred_to(self, side: int, table: TableSchema, present: Row) -> bool:
        """Whether the other side has a record that prevents the deletion there."""
        adapter = self.places[1 - side].adapter
        for reference in referrers(adapter.schema, table.name):
            wanted = tuple([present[name] for name in reference.others])
            if reference.action != "CASCADE" and reference.table.name in self.tables:
                rows = self.places[1 - side].rows(reference.table.name)
                if any(reference.to(row) == wanted for row in rows):
                    return True
        return False

    def synced(self) -> None:
        """Note that the two sides are equal."""
        self._gone.clear()

    def _of_kind(self, column: Column) -> Any:
        kind, random = column.checks, self.random
        if column.name in _WITHIN:
            low, high = _WITHIN[column.name]
            number = random.randint(low, high)
            return Decimal(number) if isinstance(kind, Decimals) else number
        if isinstance(kind, Enums):
            return random.choice(sorted(kind.labels))
        if kind is UUIDS:
            return str(UUID(int=random.getrandbits(128)))
        if isinstance(kind, Decimals):
            return (random.randint(-(10**4) + 1, 10**4 - 1) * Decimal(1).scaleb(kind.lowest.as_tuple().exponent)) % 100
        if isinstance(kind, Arrays):
            return [f'tag {random.randrange(9)}, "quoted" {{}}' for _ in range(random.randrange(4))]
        if kind is TEXT or column.kind is TEXT:
            text = f"text {random.getrandbits(40):x} é\U0001f642 'quoted' \\"
            return text[: column.max_length or len(text)].rstrip(" ")
        if column.kind is INTEGER:
            return random.randint(0, 30_000)
        made = _MAKERS[column.kind.python_type](random)
        return made.replace(tzinfo=None) if kind is LOCAL_TIMESTAMP else made

    # What is known of it

    def _stored(self, side: int, table: TableSchema, row: Row) -> Row | None:
        return self.places[side].adapter.get(table.name, key_of(table, row))

    def _note(self, table: TableSchema, before: Row | None, after: Row | None) -> None:
        column = MARKS.get(table.name)
        if column is None or after is None:
            return
        place = table.name, address_of(table, after)
        known = self._deleted[place] if before is None else self._ancestors.get(_name(before, column), set())
        # A name that was exchanged has been there before.
        name = _name(after, column)
        self._ancestors[name] = {name, *self._ancestors.get(name, ()), *known, *self._deleted[place]}

    def _deleting(self, side: int, table: TableSchema, present: Row, work: Callable[[], object]) -> None:
        """Delete something; who does it has seen what goes with it."""
        if self._is_referred_to(side, table, present):
            return
        before = self._marked(side)
        work()
        self._gone.add((table.name, key_of(table, present)))
        self.log.append(f"{side}: delete {table.name} {key_of(table, present)}")
        after = self._marked(side)
        for place, name in before.items():
            if place not in after:
                self._deleted[place] |= self._ancestors.get(name, set())

    def _marked(self, side: int) -> dict[tuple[str, str], str]:
        return {
            (name, address_of(self.tables[name], row)): _name(row, column)
            for name, column in MARKS.items()
            if name in self.tables
            for row in self.places[side].rows(name)
        }

    def lost(self, journalled: Iterable[tuple[str, Row]]) -> set[str]:
        """The versions that are neither part of what is there, nor of a deletion, nor in the journal."""
        kept: set[str] = set().union(*self._deleted.values())
        for name in self._marked(0).values():
            kept |= self._ancestors.get(name, set())
        for table, row in journalled:
            if table in MARKS:
                kept |= self._ancestors.get(_name(row, MARKS[table]), set())
        return set(self._ancestors) - kept


def _name(row: Row, column: str) -> str:
    return f"{row[column]}"


def _q(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""')).replace("%", "%%")


def _key(table: TableSchema) -> str:
    return " and ".join(f"{_q(name)} = %s" for name in table.key)


def _parts(table: TableSchema, row: Row) -> tuple[Any, ...]:
    return parts_of(table, key_of(table, row))


def _run(place: Place, statements: list[tuple[str, list[Any]]]) -> None:
    """As another program would, in one transaction."""
    if place.kind == "postgres":
        with psycopg.connect(place.address) as other:
            for text, values in statements:
                other.execute(text.encode(), values)
        return
    connection = apsw.Connection(place.address)
    try:
        connection.set_busy_timeout(10_000)
        connection.pragma("foreign_keys", True)
        with connection:
            for text, values in statements:
                connection.execute(text.replace("%s", "?").replace("%%", "%"), values)
    finally:
        connection.close()


_MAKERS: Final[dict[type, Callable[[Random], Any]]] = {
    bool: lambda random: random.random() < 0.5,
    float: lambda random: random.uniform(-1e9, 1e9),
    bytes: lambda random: random.randbytes(random.randrange(20)),
    date: lambda random: date(1900, 1, 1) + timedelta(days=random.randrange(60_000)),
    time: lambda random: time(random.randrange(24), random.randrange(60), 0, random.randrange(10**6)),
    timedelta: lambda random: timedelta(microseconds=random.randrange(10**12)),
    datetime: lambda random: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=random.randrange(10**14)),
}

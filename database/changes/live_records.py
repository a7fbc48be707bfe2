"""Live records: a callback is told of each record that comes into a result, changes in it, or leaves it.

What was told is known by an address and a digest of each record. A record that the feed names is read again, and
compared with that. Where the feed cannot name them, after a gap or too many changes, all records are: page by page, in
the order of their keys. Either way only differences are told, so that nobody has to start over.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any
from typing import Final
from typing import Literal

from database.changes.held import HeldRecords
from database.changes.held import TooMuchHeld
from database.changes.held import row_digest
from database.changes.interest import ChangedRecords
from database.changes.interest import Matching
from database.changes.subscription import ErrorCallback
from database.changes.subscription import Followed
from database.changes.subscription import Subscription
from database.changes.subscription import Surroundings
from database.core.errors import BackendError
from database.core.operations import Operation
from database.core.operations import Select
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.core.query.filters import after
from database.core.query.filters import conditions
from database.core.query.targets import key_filters
from database.core.query.validation import checked_select
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import address_of
from database.core.tables.keys import checked_key
from database.core.tables.keys import parts_of
from database.core.tables.keys import readable_key
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import Unreadable

ChangeType = Literal["INSERT", "UPDATE", "DELETE"]

_FIRST_PAGE: Final = 100
_LARGEST_PAGE: Final = 1_000
_PAGE_BYTES: Final = 1 << 20
"""The target size of a page in bytes of JSON."""

_MOST_WAITING: Final = 1_000
"""Changed records that may wait to be read; of a large result, a sixteenth of its records."""


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A change of one record of a watched result.

    :ivar type: ``INSERT`` if the record is new in the result; ``DELETE`` if it has left it, because it was deleted, no
        longer matches, or is no longer visible to the subscriber.
    :ivar record: the record as it is now, with the selected columns and the key; None for ``DELETE``.
    :ivar old_record: the key of the record, by column; None for ``INSERT``.
    """

    type: ChangeType
    table: str
    record: Row | None
    old_record: Row | None


ChangeCallback = Callable[[RecordChange], object]


class LiveRecords(Followed[RecordChange]):
    """Records of one table.

    :param query: with columns and a filter only.
    :param run: carries out an operation with the identity of the current context.
    :param existing: whether to tell of the records that exist, too. If not, they are read before the start.
    :raises InvalidQuery: if the query is refused.
    """

    def __init__(
        self, schema: TableSchema, query: Select, run: Callable[[Operation], Result], *, existing: bool
    ) -> None:
        checked = checked_select(schema, query)
        self.schema = schema
        self.existing = existing
        self.matches = Matching(schema, checked.where)
        self._where = checked.where
        self._run = run
        self._columns = None if checked.columns is None else tuple(dict.fromkeys((*checked.columns, *schema.key)))

    @property
    def tables(self) -> frozenset[str]:
        return frozenset((self.schema.name,))

    def try_out(self) -> None:
        # With one condition more, as the pages have it.
        self._read(self._columns, self._and(Where(self.schema.key[0], "is_null", False)), 1)

    def page(self, last: Key | None, limit: int) -> Result:
        """Read the records after a key, sorted by key."""
        schema = self.schema
        behind = None if last is None else after((), parts_of(schema, last), schema.key)
        return self._read(self._columns, self._where if behind is None else self._and(behind), limit)

    def named(self, addresses: Iterable[str]) -> tuple[list[Row], list[Unreadable]]:
        """Read those of the records that have one of these addresses."""
        keys = [checked_key(self.schema, address) for address in addresses]
        # They are matched here, because the filter and thousands of keys may be more than a query can have.
        needed = [one.column for one in conditions(self._where)]
        columns = None if self._columns is None else tuple(dict.fromkeys((*self._columns, *needed)))
        results = [self._read(columns, where) for where in key_filters(self.schema, keys)]
        rows = [self._selected(row) for result in results for row in result.rows if self.matches(row)]
        return rows, [bad for result in results for bad in result.unreadable]

    def subscription(
        self, around: Surroundings, callback: ChangeCallback, on_error: ErrorCallback | None
    ) -> RecordSubscription:
        return RecordSubscription(around, self, callback, on_error)

    def _and(self, where: Filter) -> Filter:
        return where if self._where is None else self._where & where

    def _read(self, columns: tuple[str, ...] | None, where: Filter | None, limit: int | None = None) -> Result:
        return self._run(Select(self.schema.name, columns, where, limit=limit))

    def _selected(self, row: Row) -> Row:
        return row if self._columns is None else {name: row[name] for name in self._columns}


class RecordSubscription(Subscription):
    """Tells of the differences between what was told and what there is.

    A slow callback is told of the newest state of each record. The poller notes changes, and a thread of the crew
    works them off in small steps, so that a large result does not keep others waiting.
    """

    def __init__(
        self, around: Surroundings, records: LiveRecords, callback: ChangeCallback, on_error: ErrorCallback | None
    ) -> None:
        super().__init__(around, on_error)
        self._records = records
        self._schema = records.schema
        self._callback = callback
        self._held = HeldRecords(self._share)
        self._silent = False
        self._page = _FIRST_PAGE
        # The comparison of all records: whether one is due, whether one is going on, and the last key that it has read.
        self._is_due = True
        self._comparing = False
        self._last: Key | None = None
        # Between the poller and the thread that works.
        self._lock = Lock()
        self._changed: dict[str, None] = {}
        self._working = False

    def prepare(self) -> None:
        if self._records.existing:
            return
        self._silent = True
        self._take()
        while self._comparing:
            self._compare_page()
        self._silent = self._working = False

    def note(self, changed: ChangedRecords) -> bool:
        if changed.everything:
            self._is_due = True
            return True
        addresses = changed.addresses(self._schema.name)
        if not addresses:
            return False
        rows = changed.rows(self._schema.name)
        with self._lock:
            concerned = self._concerned(addresses, rows)
            self._changed |= dict.fromkeys(concerned)
            if len(self._changed) > max(_MOST_WAITING, len(self._held) // 16):
                # To compare all costs less, and forgets none.
                self._changed, self._is_due = {}, True
        return bool(concerned)

    def unsubscribe(self) -> None:
        super().unsubscribe()
        self._held.clear()

    def _concerned(self, addresses: Collection[str], rows: Sequence[Row] | None) -> Collection[str]:
        # Of records that are just being read it is not known yet whether they will be held.
        if rows is None or self._working:
            return addresses
        matching = {address_of(self._schema, row) for row in rows if self._records.matches(row)}
        return [address for address in addresses if address in matching or address in self._held]

    def _work(self) -> None:
        addresses = self._take()
        try:
            if addresses:
                self._compare_named(addresses)
            if self._comparing:
                self._compare_page()
        except BackendError:
            with self._lock:
                self._changed = dict.fromkeys(addresses) | self._changed
            raise
        except TooMuchHeld:
            self.unsubscribe()
            raise
        except Exception:
            # What has not been told is found by comparing all records, after the next change.
            self._is_due, self._comparing = True, False
            raise
        finally:
            with self._lock:
                self._working = False
        if self._changed or self._comparing or self._is_due:
            self.wake()

    def _take(self) -> list[str]:
        """Begin to work. :returns: the addresses of changed records to compare now."""
        with self._lock:
            self._working = True
            if self._is_due and not self._comparing:
                # It finds all changes that have been noted.
                self._is_due, self._comparing, self._last, self._changed = False, True, None, {}
                self._held.remove_marks()
            taken = list(islice(self._changed, self._page))
            for address in taken:
                del self._changed[address]
            return taken

    def _compare_named(self, addresses: Sequence[str]) -> None:
        """Compare changed records, in the order of their changes."""
        rows, unreadable = self._records.named(addresses)
        self._note_response()
        self._report_unreadable(unreadable)
        found = {address_of(self._schema, row): row for row in rows}
        kept = {bad.id for bad in unreadable}
        for address in addresses:
            if address in found:
                self._compare(address, found[address])
            elif address not in kept:
                self._tell_deleted(address)

    def _compare_page(self) -> None:
        """Compare the next records in the order of the keys; after the last ones, tell of those that are gone."""
        limit = self._page
        result = self._records.page(self._last, limit)
        self._note_response()
        self._report_unreadable(result.unreadable)
        for bad in result.unreadable:
            self._held.mark(bad.id or "")
        size = sum([self._compare(address_of(self._schema, row), row) for row in result.rows])
        self._page = max(1, min(_PAGE_BYTES * len(result.rows) // max(size, 1), 2 * limit, _LARGEST_PAGE))
        if len(result.rows) + len(result.unreadable) == limit:
            self._go_on_behind([*result.rows, *[bad.values for bad in result.unreadable]])
        else:
            self._comparing = False
            for address in self._held.unmarked():
                self._tell_deleted(address)

    def _go_on_behind(self, rows: Sequence[Mapping[str, Any]]) -> None:
        known = [key for row in rows if (key := readable_key(self._schema, row)) is not None]
        if known:
            self._last = max(known)
        else:
            # No key of the page can be read: a larger one has others.
            self._page = 2 * len(rows)

    def _compare(self, address: str, row: Row) -> int:
        """Tell of a record that is not as it was told. :returns: the size of the row in bytes of JSON."""
        if self._ended:
            return 0
        digest, size = row_digest(row)
        before = self._held.put(address, digest)
        if before is None:
            self._tell_change("INSERT", row, None)
        elif before != digest:
            self._tell_change("UPDATE", row, address)
        return size

    def _tell_deleted(self, address: str) -> None:
        if not self._ended and self._held.remove(address):
            self._tell_change("DELETE", None, address)

    def _tell_change(self, kind: ChangeType, row: Row | None, address: str | None) -> None:
        if not self._silent:
            key = None if address is None else self._key(address)
            self._tell(self._callback, RecordChange(kind, self._schema.name, row, key))

    def _key(self, address: str) -> Row:
        parts = parts_of(self._schema, checked_key(self._schema, address))
        return dict(zip(self._schema.key, parts, strict=True))

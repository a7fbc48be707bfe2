"""Which subscriptions a page of changes concerns, told without asking the backend once for each of them.

The changed records are read once for all subscriptions. One concerns a query if it matches its filter now, or was in
its last result. In case of doubt a query is run again.
"""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left
from collections.abc import Callable
from collections.abc import Sequence
from collections.abc import Set
from typing import Final

from database.changes.budget import Share
from database.changes.feed import Changes
from database.core.errors import DataError
from database.core.kinds.values import JSON
from database.core.operations import Select
from database.core.query.evaluation import Document
from database.core.query.evaluation import selector
from database.core.query.filters import Filter
from database.core.query.filters import conditions
from database.core.query.steps import Steps
from database.core.query.validation import checked_select
from database.core.result import Row
from database.core.tables.keys import address_of
from database.core.tables.schema import TableSchema

logger = logging.getLogger(__name__)

_MOST_READ: Final = 200
"""Changed records of one table that are read: after more, every query of the table is run again."""

_HASH: Final = 8
"""Bytes that an address of a result takes."""

ReadRecords = Callable[[str, Set[str]], Sequence[Row] | None]
"""Reads the records of a table with these addresses as the application; None if one of them cannot be read."""


class Matching:
    """Whether records match a checked filter, told from their whole rows."""

    def __init__(self, schema: TableSchema, where: Filter | None) -> None:
        self._selects = selector(where, Steps())
        contained = {one.column for one in conditions(where) if one.operator == "contains"}
        self._documents = [name for name in contained if schema.columns[name].kind is JSON]

    def __call__(self, row: Row) -> bool:
        documents = {name: Document(row[name]) for name in self._documents if row[name] is not None}
        return self._selects(row | documents if documents else row)


class Interest:
    """The records that a plain query depends on: those of its last result, and those that its filter matches.

    :raises InvalidQuery: if the query is refused.
    """

    def __init__(self, schema: TableSchema, query: Select) -> None:
        checked = checked_select(schema, query)
        self._schema = schema
        self._matches = Matching(schema, checked.where)
        # Without the key it is not known which records are in a result; with an offset, also others move it.
        self._is_tellable = not query.offset and set(schema.key) <= set(checked.columns or schema.columns)
        self._held: array[int] | None = None

    def forget(self) -> None:
        """Note that the query is about to run: until its result is known, every change concerns it."""
        self._held = None

    def note(self, rows: Sequence[Row], share: Share) -> None:
        """Note the rows of the new result.

        :param share: the memory for it. If there is too little, every change concerns the query.
        """
        # Two addresses with one hash are taken for each other, which costs no more than a query.
        if self._is_tellable and share.resize(_HASH * len(rows)):
            self._held = array("q", sorted([hash(address_of(self._schema, row)) for row in rows]))
        else:
            share.give_back()

    def is_touched(self, addresses: Set[str], read: Callable[[], Sequence[Row] | None]) -> bool:
        """Whether changes of these records can change the result.

        :param read: reads the records as they are now.
        """
        held = self._held
        if held is None or any(_is_among(hash(address), held) for address in addresses):
            return True
        rows = read()
        return rows is None or any(map(self._matches, rows))


def _is_among(number: int, held: array[int]) -> bool:
    place = bisect_left(held, number)
    return place < len(held) and held[place] == number


class ChangedRecords:
    """The changed records of a page, which are read at most once.

    :param page: None if any record may have changed.
    :ivar everything: whether any record may have changed.
    """

    def __init__(self, page: Changes | None, read: ReadRecords) -> None:
        self._read = read
        self.everything = page is None
        self._addresses: dict[str, dict[str, None]] = {}
        self._rows: dict[str, Sequence[Row] | None] = {}
        for change in page.changes if page is not None else ():
            self._addresses.setdefault(change.table, {})[change.id] = None

    def __bool__(self) -> bool:
        return self.everything or bool(self._addresses)

    def concern(self, tables: Set[str], interest: Interest | None) -> bool:
        """Whether they can change the result of a query.

        :param tables: those on which the result depends.
        :param interest: None if any change of them can change it.
        """
        if self.everything:
            return True
        changed = self._addresses.keys() & tables
        if interest is None or len(changed) != 1:
            return bool(changed)
        (table,) = changed
        return interest.is_touched(self.addresses(table), lambda: self.rows(table))

    def addresses(self, table: str) -> Set[str]:
        """The addresses of the changed records of a table, in the order of their first changes."""
        return self._addresses.get(table, {}).keys()

    def rows(self, table: str) -> Sequence[Row] | None:
        """The changed records of a table that exist; None if they cannot be read, or are too many."""
        if table not in self._rows:
            self._rows[table] = self._found(table, self.addresses(table))
        return self._rows[table]

    def _found(self, table: str, addresses: Set[str]) -> Sequence[Row] | None:
        if len(addresses) > _MOST_READ:
            return None
        try:
            return self._read(table, addresses)
        except DataError as error:
            logger.info("the changed records of table %s cannot be read; its subscriptions run again: %s", table, error)
            return None

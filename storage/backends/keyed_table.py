"""Entries in a table of their own, whose primary key is made of the key alone."""

from __future__ import annotations

from database.core.query.filters import Filter
from database.core.query.filters import Where
from storage.backends.table import TableEntries
from storage.core.errors import StorageKeyError
from storage.core.keys import after_all
from storage.core.keys import without_nul


class KeyedTableEntries(TableEntries):
    """A table of one store: an entry is found by its key, which the subclass names in ``_id_column``.

    :ivar beginning: what all keys begin with; it is not in the table.
    """

    beginning: str = ""
    _value: tuple[str, ...] = ()
    _derived: tuple[str, ...] = ()

    def _behind(self, prefix: str, after: str | None) -> Filter:
        where = self._within(prefix)
        return where if after is None else where & Where(self._id_column, "gt", self._of_key(after))

    def _within(self, prefix: str) -> Filter:
        start = "" if self.beginning.startswith(prefix) else self._of_key(prefix)
        where, end = Where(self._id_column, "gte", start), after_all(start)
        return where if end is None else where & Where(self._id_column, "lt", end)

    def _id(self, key: str) -> str:
        return self._of_key(key)

    def _of_key(self, key: str) -> str:
        """A key, or the beginning of one, as it is in the table."""
        if not key.startswith(self.beginning):
            raise StorageKeyError(f"the keys in the table {self.table} begin with {self.beginning}")
        return without_nul(key.removeprefix(self.beginning))

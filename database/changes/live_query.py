"""A live query: its result is delivered, and delivered again whenever it changes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set
from hashlib import blake2b

import orjson

from database.changes.interest import ChangedRecords
from database.changes.interest import Interest
from database.changes.subscription import ErrorCallback
from database.changes.subscription import Followed
from database.changes.subscription import Subscription
from database.changes.subscription import Surroundings
from database.core.kinds.json_forms import json_form
from database.core.result import Result
from database.core.result import Row

Callback = Callable[[list[Row]], object]
"""Called with the rows of a result, which it may modify."""


class LiveQuery(Followed[list[Row]]):
    """A query and the tables that its result depends on.

    :param tables: the result can change only if one of these tables changes.
    :param result: runs the query with the identity of the current context.
    :param interest: the records that the result depends on; None for all of the tables.
    """

    def __init__(self, tables: Set[str], result: Callable[[], Result], interest: Interest | None = None) -> None:
        self._tables = tables
        self.result = result
        self.interest = interest

    @property
    def tables(self) -> Set[str]:
        return self._tables

    def try_out(self) -> None:
        self.result()

    def subscription(
        self, around: Surroundings, callback: Callback, on_error: ErrorCallback | None
    ) -> ResultSubscription:
        return ResultSubscription(around, self, callback, on_error)


class ResultSubscription(Subscription):
    """Delivers the results of a query, one after another.

    A slow callback skips intermediate results and gets the newest one.
    """

    def __init__(
        self, around: Surroundings, query: LiveQuery, callback: Callback, on_error: ErrorCallback | None
    ) -> None:
        super().__init__(around, on_error)
        self._query = query
        self._callback = callback
        self._delivered: bytes | None = None

    def note(self, changed: ChangedRecords) -> bool:
        return changed.concern(self._query.tables, self._query.interest)

    def _work(self) -> None:
        interest = self._query.interest
        if interest is not None:
            interest.forget()
        result = self._query.result()
        self._note_response()
        if interest is not None and not result.unreadable:
            interest.note(result.rows, self._share)
        self._report_unreadable(result.unreadable)
        self._deliver(result.rows)

    def _deliver(self, rows: list[Row]) -> None:
        # Compared as text, because in Python 1, 1.0 and True are equal, and because a callback may modify its rows.
        digest = blake2b(orjson.dumps(rows, json_form, orjson.OPT_SORT_KEYS), digest_size=16).digest()
        if digest != self._delivered:
            self._delivered = digest
            self._tell(self._callback, rows)

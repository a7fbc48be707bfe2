"""Following a query of ``table()``: ``subscribe`` delivers its results, ``on_changes`` tells of single records."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from database.adapter.filtering import FilteredQuery
from database.adapter.joins import Join
from database.adapter.joins import embedded
from database.adapter.transactions import BoundAdapter
from database.changes.interest import Interest
from database.changes.live_query import Callback
from database.changes.live_query import LiveQuery
from database.changes.live_records import ChangeCallback
from database.changes.live_records import LiveRecords
from database.changes.subscription import ErrorCallback
from database.changes.subscription import Subscription
from database.core.errors import InvalidQuery
from database.core.operations import Operation
from database.core.operations import Select
from database.core.result import Result
from database.core.tables.schema import Schema


class Runner(Protocol):
    """What executes a finished query: an adapter or the connection manager."""

    @property
    def adapter(self) -> BoundAdapter:
        """The adapter whose tables a query is about. :raises Unavailable: when there is none."""

    def run(self, operation: Operation) -> Result:
        """Carry out ``operation``."""


class FollowableQuery(FilteredQuery):
    """A query whose result can be followed."""

    _runner: Runner
    _texts: tuple[str, ...]

    def subscribe(self, callback: Callback, on_error: ErrorCallback | None = None) -> Subscription:
        """Have ``callback(rows)`` called with the present result, and again after a commit that changed it.

        It is called in one of the threads that all subscriptions on the adapter share, as the present identity, within
        a second of the commit; commits that come faster than it returns are delivered as one. Up to sixteen callbacks
        run at a time. Rows of joined tables are part of the result. Of a connection manager, it follows the adapter
        that is active now, and no other one later.

        A backend that does not answer is waited for. What ``callback`` raises is logged, and so is a later refusal
        of the query, and a row that cannot be read; the subscription goes on after all of them. It ends by
        :meth:`~database.changes.subscription.Subscription.unsubscribe` or when the adapter disconnects.

        :param on_error: is called with what was logged, too.
        :raises Unsupported: where the backend has no feed of changes, before any I/O.
        :raises InvalidQuery: for a verb that writes or a total count, and as by :meth:`execute`.
        """
        selection, texts = self._followed(), self._texts
        adapter = self._runner.adapter
        joins = self._every_join(adapter.schema)

        def result() -> Result:
            if joins or texts:
                return embedded(adapter.run_alone, adapter.schema, selection, joins, texts)
            return adapter.run_alone(selection)

        tables = frozenset({selection.table, *[join.table for join in joins]})
        plain = len(tables) == 1 and not (selection.group or texts)
        interest = Interest(adapter.schema.table(selection.table), selection) if plain else None
        return adapter.subscribe(LiveQuery(tables, result, interest), callback, on_error)

    def on_changes(
        self, callback: ChangeCallback, on_error: ErrorCallback | None = None, *, existing: bool = False
    ) -> Subscription:
        """Have ``callback(change)`` called for each record that comes into the result, changes in it, or leaves it.

        ``change`` is a :class:`~database.changes.live_records.RecordChange`, with the names of Supabase's
        ``on_postgres_changes``: its ``type`` is ``"INSERT"``, ``"UPDATE"`` or ``"DELETE"``. The callback is called as
        by :meth:`subscribe`, with one record after another. No change is missed: after an outage, after a gap of the
        feed, and if the callback is slower than the changes, it is told of the newest state of each record that
        differs. The subscription holds about 30 bytes in memory for each record of the result.

        :param existing: tell of the present records first, each as an ``"INSERT"``. If not, they are read before this
            returns, and what is committed afterwards is told.
        :param on_error: as for :meth:`subscribe`. The subscription ends with an ``InvalidQuery`` if all subscriptions
            on the adapter together would hold too much.
        :raises Unsupported: where the backend has no feed of changes, before any I/O.
        :raises InvalidQuery: for anything but columns and filters.
        :raises BackendError: without ``existing``, if the records cannot be read.
        """
        query, adapter = self._followed(), self._runner.adapter
        if query.order or query.limit is not None or query.offset is not None or query.group or not self._is_plain:
            raise InvalidQuery(
                "on_changes tells of single records; it takes columns and filters, and no order, limit, offset, group,"
                " join, related rows or ::text"
            )
        schema = adapter.schema.table(query.table)
        return adapter.subscribe(LiveRecords(schema, query, adapter.run_alone, existing=existing), callback, on_error)

    @property
    @abstractmethod
    def _is_plain(self) -> bool:
        """Whether one operation gives the whole result."""

    @abstractmethod
    def _every_join(self, schema: Schema) -> tuple[Join, ...]:
        """What puts rows of other tables into the result."""

    @abstractmethod
    def _followed(self) -> Select:
        """The query itself. :raises InvalidQuery: if it has no result that can be followed."""

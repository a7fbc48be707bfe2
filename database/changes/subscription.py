"""A query whose result is delivered, and delivered again whenever it has become another one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence
from collections.abc import Set
from dataclasses import dataclass
from typing import Self

import orjson

from database.changes.outage import Outage
from database.changes.poller import INTERVAL
from database.core.context import NO_CONTEXT
from database.core.context import current_context
from database.core.errors import BackendError
from database.core.errors import RequestError
from database.core.lifecycle import Worker
from database.core.result import Result
from database.core.result import Row
from database.core.tables.unreadable import Unreadable

logger = logging.getLogger(__name__)

Callback = Callable[[list[Row]], object]
"""Takes the rows of a result; they are its own."""

ErrorCallback = Callable[[Exception], object]
"""Takes what a callback raised, why the query was refused, or why a row of its result cannot be read."""


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """A query and what its result depends on.

    :ivar tables: it cannot have another result unless one of them has changed.
    :ivar result: makes the query, as the current context's identity.
    """

    tables: Set[str]
    result: Callable[[], Result]


class Subscription:
    """Delivers the results of a query, one after another, in a thread of its own.

    A callback that takes its time delays nobody else's; it is given the newest result then, and none of those
    in between. As a context manager it ends with the block.

    :param backend: its name, for the thread and the log.
    :param outage: is told when the backend does not answer; the query is made again until it does.
    :param leave: is called when it is over, however it ended.
    """

    def __init__(
        self,
        backend: str,
        query: LiveQuery,
        callback: Callback,
        on_error: ErrorCallback | None,
        outage: Outage,
        leave: Callable[[Subscription], None],
    ) -> None:
        self.tables = query.tables
        self._backend = backend
        self._query = query.result
        self._callback = callback
        self._on_error = on_error
        self._outage = outage
        self._leave = leave
        # The subscriber's deadline is that of a request that is over long before.
        self._context = NO_CONTEXT._replace(identity=current_context.get().identity)
        self._unreadable: Set[tuple[str, str | None, str]] = set()
        self._delivered: bytes | None = None
        self._waiting = False
        self._worker = Worker(f"isthmus-subscription-{backend}", self._serve, None, ended=self._end)

    @property
    def active(self) -> bool:
        """Whether results are still delivered; never in a process that was forked off."""
        return self._worker.running

    def unsubscribe(self) -> None:
        """End it. Nothing is delivered after this has returned; it may be called again.

        It waits for a callback or a query that is under way, unless it is called by the callback itself.
        """
        self._worker.stop()

    def start(self) -> None:
        """Begin to deliver; a subscription begins once."""
        self._worker.start()

    def wake(self) -> None:
        """Have the query made again soon."""
        self._worker.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()

    def _serve(self) -> float | None:
        """Make the query and deliver; the pause before it is made again though nothing changed, if it failed."""
        current_context.set(self._context)
        try:
            self._refresh()
        except Exception as error:
            logger.exception("a subscription on %s could not be served; it goes on", self._backend)
            self._tell(error)
        return INTERVAL if self._waiting else None

    def _end(self) -> None:
        self._outage.leave(self)
        self._leave(self)

    def _refresh(self) -> None:
        try:
            result = self._query()
        except BackendError as error:
            self._waiting = True
            self._outage.begin(self, error)
        except RequestError as error:
            self._answered()
            logger.exception("the query of a subscription on %s was refused", self._backend)
            self._tell(error)
        else:
            self._answered()
            self._tell_of(result.unreadable)
            self._deliver(result.rows)

    def _answered(self) -> None:
        self._waiting = False
        self._outage.end(self)

    def _deliver(self, rows: list[Row]) -> None:
        # Compared as text: to Python 1, 1.0 and True are equal, and a callback may change its rows.
        text = orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)
        if self._worker.stopping or text == self._delivered:
            return
        self._delivered = text
        try:
            self._callback(rows)
        except Exception as error:
            logger.exception("the callback of a subscription on %s failed", self._backend)
            self._tell(error)

    def _tell_of(self, unreadable: Sequence[Unreadable]) -> None:
        """Tell of each row that cannot be read, once as long as it is so."""
        found = {(bad.table, bad.id, bad.column): bad for bad in unreadable}
        news, self._unreadable = found.keys() - self._unreadable, set(found)
        for key in news:
            self._tell(found[key].error())

    def _tell(self, error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception:
            logger.exception("the error callback of a subscription on %s failed", self._backend)

"""A live query: its result is delivered, and delivered again whenever it changes."""

from __future__ import annotations

import contextvars
import logging
import os
from collections.abc import Callable
from collections.abc import Sequence
from collections.abc import Set
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import orjson

from database.changes.crew import Crew
from database.changes.interest import Interest
from database.changes.outage import Outage
from database.core.context import NO_CONTEXT
from database.core.context import current_context
from database.core.errors import BackendError
from database.core.errors import RequestError
from database.core.kinds.json_forms import json_form
from database.core.result import Result
from database.core.result import Row
from database.core.tables.unreadable import Unreadable

logger = logging.getLogger(__name__)

Callback = Callable[[list[Row]], object]
"""Called with the rows of a result, which it may modify."""

ErrorCallback = Callable[[Exception], object]
"""Called with the exception of a callback, of a refused query, or for a row of the result that cannot be read."""


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """A query and the tables that its result depends on.

    :ivar tables: the result can change only if one of these tables changes.
    :ivar result: runs the query with the identity of the current context.
    :ivar interest: the records that the result depends on; None for all of the tables.
    """

    tables: Set[str]
    result: Callable[[], Result]
    interest: Interest | None = None


class Subscription:
    """Delivers the results of a query, one after another, in the threads of a crew.

    A slow callback skips intermediate results and gets the newest one. As a context manager, the subscription ends
    with the block.

    :param backend: its name, for the log.
    :param outage: records when the backend does not respond.
    :param leave: called when the subscription has ended.
    :ivar waiting: whether the backend has not responded to the query, which has then to be tried again.
    """

    def __init__(
        self,
        backend: str,
        query: LiveQuery,
        callback: Callback,
        on_error: ErrorCallback | None,
        outage: Outage,
        crew: Crew,
        leave: Callable[[Subscription], None],
    ) -> None:
        self.tables = query.tables
        self.interest = query.interest
        self._backend = backend
        self._query = query.result
        self._callback = callback
        self._on_error = on_error
        self._outage = outage
        self._crew = crew
        self._leave = leave
        # Without the subscriber's deadline: that belongs to its request, which the subscription outlives.
        self._context = NO_CONTEXT._replace(identity=current_context.get().identity)
        self._unreadable: Set[tuple[str, str | None, str]] = set()
        self._delivered: bytes | None = None
        self.waiting = False
        self._process = os.getpid()
        self._ended = False

    @property
    def active(self) -> bool:
        """Whether results are still delivered; always False in a forked child."""
        return not self._ended and self._process == os.getpid()

    def unsubscribe(self) -> None:
        """End the subscription. Nothing is delivered after this has returned; it may be called repeatedly.

        It waits for a running callback or query, unless the callback itself calls it.
        """
        if self._process != os.getpid():
            return
        self._ended = True
        self._crew.leave(self)
        self._outage.leave(self)
        self._leave(self)

    def start(self) -> None:
        """Start delivering; a subscription can be started once."""
        self._crew.join(self)

    def wake(self) -> None:
        """Run the query again soon."""
        self._crew.call(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()

    def serve(self) -> None:
        """Run the query and deliver its result, if it has changed."""
        # In an empty context, because the threads serve other subscribers, too.
        contextvars.Context().run(self._serve)

    def _serve(self) -> None:
        current_context.set(self._context)
        try:
            self._refresh()
        except Exception as error:
            logger.exception("the query of a subscription on %s failed; the subscription continues", self._backend)
            self._report(error)

    def _refresh(self) -> None:
        if self.interest is not None:
            self.interest.forget()
        try:
            result = self._query()
        except BackendError as error:
            self.waiting = True
            self._outage.begin(self, error)
        except RequestError as error:
            self._note_response()
            logger.exception("the query of a subscription on %s was refused", self._backend)
            self._report(error)
        else:
            self._note_response()
            if self.interest is not None and not result.unreadable:
                self.interest.note(result.rows)
            self._report_unreadable(result.unreadable)
            self._deliver(result.rows)

    def _note_response(self) -> None:
        self.waiting = False
        self._outage.end(self)

    def _deliver(self, rows: list[Row]) -> None:
        # Compared as text, because in Python 1, 1.0 and True are equal, and because a callback may modify its rows.
        digest = blake2b(orjson.dumps(rows, json_form, orjson.OPT_SORT_KEYS), digest_size=16).digest()
        if self._ended or digest == self._delivered:
            return
        self._delivered = digest
        try:
            self._callback(rows)
        except Exception as error:
            logger.exception("the callback of a subscription on %s failed", self._backend)
            self._report(error)

    def _report_unreadable(self, unreadable: Sequence[Unreadable]) -> None:
        """Report each unreadable row once, until it becomes readable."""
        found = {(bad.table, bad.id, bad.column): bad for bad in unreadable}
        news, self._unreadable = found.keys() - self._unreadable, set(found)
        for key in news:
            self._report(found[key].error())

    def _report(self, error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception:
            logger.exception("the error callback of a subscription on %s failed", self._backend)

"""A subscription: something of a database is followed, and a callback is told of it, as the subscriber."""

from __future__ import annotations

import contextvars
import logging
import os
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence
from collections.abc import Set
from dataclasses import dataclass
from typing import Generic
from typing import Self
from typing import TypeVar

from database.changes.budget import MemoryBudget
from database.changes.budget import Share
from database.changes.crew import Crew
from database.changes.interest import ChangedRecords
from database.changes.outage import Outage
from database.core.context import Context
from database.core.context import current_context
from database.core.errors import BackendError
from database.core.errors import RequestError
from database.core.tables.unreadable import Unreadable

logger = logging.getLogger(__name__)

Told = TypeVar("Told")
"""What a callback gets."""

ErrorCallback = Callable[[Exception], object]
"""Called with the exception of a callback, of a refused query, or for a row of the result that cannot be read."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the subscriptions on an adapter share.

    :ivar backend: its name, for the log.
    :ivar outage: records when the backend does not respond.
    :ivar crew: the threads in which they work.
    :ivar budget: the memory that they hold.
    :ivar leave: called when a subscription has ended.
    """

    backend: str
    outage: Outage
    crew: Crew
    budget: MemoryBudget
    leave: Callable[[Subscription], None]


class Followed(ABC, Generic[Told]):
    """What a subscription can be made to."""

    @property
    @abstractmethod
    def tables(self) -> Set[str]:
        """Only changes of these tables are of interest."""

    @abstractmethod
    def try_out(self) -> None:
        """Read it with the identity of the current context. :raises DataError: if that fails."""

    @abstractmethod
    def subscription(
        self, around: Surroundings, callback: Callable[[Told], object], on_error: ErrorCallback | None
    ) -> Subscription:
        """A subscription to it with the identity of the current context, which has not been started."""


class Subscription(ABC):
    """Tells a callback of what it follows, in the threads of a crew.

    As a context manager, the subscription ends with the block.

    :ivar waiting: whether the backend has not responded, so that the work has to be tried again.
    """

    def __init__(self, around: Surroundings, on_error: ErrorCallback | None) -> None:
        self._around = around
        self._on_error = on_error
        self._share = Share(around.budget)
        # Without the subscriber's deadline: that belongs to its request, which the subscription outlives.
        self._context = Context(identity=current_context.get().identity)
        self._unreadable: Set[tuple[str, str | None, str]] = set()
        self.waiting = False
        self._process = os.getpid()
        self._ended = False

    @abstractmethod
    def note(self, changed: ChangedRecords) -> bool:
        """Note what has changed. :returns: whether there is work."""

    @abstractmethod
    def _work(self) -> None:
        """Do the work that is due. :raises DataError: if the backend does not respond, or refuses the query."""

    def prepare(self) -> None:  # noqa: B027  # not all have something to prepare
        """Do what the subscriber waits for, before the start. :raises DataError: if that fails."""

    @property
    def active(self) -> bool:
        """Whether the callback is still called; always False in a forked child."""
        return not self._ended and self._process == os.getpid()

    @property
    def lacks_memory(self) -> bool:
        """Whether it does without knowing its records, because all subscriptions together hold too many."""
        return self._share.refused

    def unsubscribe(self) -> None:
        """End the subscription. The callback is not called after this has returned; it may be called repeatedly.

        It waits for a running callback or query, unless the callback itself calls it.
        """
        if self._process != os.getpid():
            return
        self._ended = True
        self._around.crew.leave(self)
        self._share.give_back(for_good=True)
        self._around.outage.leave(self)
        self._around.leave(self)

    def start(self) -> None:
        """Start working; a subscription can be started once."""
        self._around.crew.join(self)

    def wake(self) -> None:
        """Do the work that is due soon."""
        self._around.crew.call(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()

    def serve(self) -> None:
        """Do the work that is due, as the subscriber."""
        # In an empty context, because the threads serve other subscribers, too.
        contextvars.Context().run(self._serve)

    def _serve(self) -> None:
        current_context.set(self._context)
        backend = self._around.backend
        try:
            self._work()
        except BackendError as error:
            self.waiting = True
            self._around.outage.begin(self, error)
        except RequestError as error:
            self._note_response()
            logger.exception("the query of a subscription on %s was refused", backend)
            self._report(error)
        except Exception as error:
            logger.exception("the query of a subscription on %s failed; the subscription continues", backend)
            self._report(error)

    def _note_response(self) -> None:
        self.waiting = False
        self._around.outage.end(self)

    def _tell(self, callback: Callable[[Told], object], told: Told) -> None:
        if self._ended:
            return
        try:
            callback(told)
        except Exception as error:
            logger.exception("the callback of a subscription on %s failed", self._around.backend)
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
            logger.exception("the error callback of a subscription on %s failed", self._around.backend)

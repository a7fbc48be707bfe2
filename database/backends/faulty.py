"""Faults on demand: an adapter around another one, for the tests of those who build on the data layer.

>>> adapter = FaultyAdapter(SQLiteAdapter({"path": path}), faults=Faults(refuse=0.1))
>>> adapter.faults.next("error_after_commit")
>>> adapter.table("molecules").insert({"name": "water"}).execute()  # the row is there, but:
Traceback (most recent call last):
OutcomeUnknown: the connection was lost before the write was confirmed

The adapter has a pipeline of its own, so faults meet retry and circuit breaker as those of a real backend do. What can
happen where:

====================  ===========================  ===================  =================  ===================
fault                 call                         begin                in a transaction   commit
====================  ===========================  ===================  =================  ===================
refuse                ``ConnectFailed``            ``ConnectFailed``
error_before          ``Unavailable``              ``Unavailable``
delay                 late, or ``TimedOut``        late, or             late, or
                                                   ``TimedOut``         ``TimedOut``
cut                   not applied; a read          ``Unavailable``      rolled back;       rolled back;
                      ``Unavailable``, a write                          ``Unavailable``    ``OutcomeUnknown``
                      ``OutcomeUnknown``
error_after_commit    applied; as for cut                                                  committed;
                                                                                           ``OutcomeUnknown``
====================  ===========================  ===================  =================  ===================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from random import Random
from threading import Event
from threading import Lock
from typing import Any
from typing import ClassVar
from typing import Literal

from database.adapter.backend import Backend
from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Session
from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import ConnectFailed
from database.core.errors import DataError
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import lost_answer
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.resilience.deadline import remaining
from database.resilience.retry import Sleep

Fault = Literal["refuse", "error_before", "delay", "cut", "error_after_commit"]

_ON_CALL: tuple[Fault, ...] = ("refuse", "error_before", "delay", "cut", "error_after_commit")
_ON_BEGIN: tuple[Fault, ...] = ("refuse", "error_before", "delay", "cut")
_INSIDE: tuple[Fault, ...] = ("delay", "cut")
_ON_COMMIT: tuple[Fault, ...] = ("cut", "error_after_commit")


@dataclass
class _Scripted:
    fault: Fault
    skip: int


@dataclass
class Faults:
    """What goes wrong: by chance at a rate for each fault, or as scripted with :meth:`next`.

    Rates are shares of calls from 0 to 1 and may be changed at any time: ``refuse = 1.0`` is a backend that is
    down, and 0 brings it back.

    :param seconds: how late a delayed call is.
    """

    refuse: float = 0.0
    error_before: float = 0.0
    delay: float = 0.0
    cut: float = 0.0
    error_after_commit: float = 0.0
    seconds: float = 0.05
    _script: deque[_Scripted] = field(default_factory=deque, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def next(self, *faults: Fault, skip: int = 0) -> None:
        """Have the next calls suffer ``faults``, one each; a fault waits for a call that it can happen to.

        :param skip: so many calls that the first of them could happen to are let through before.
        """
        with self._lock:
            self._script.extend(_Scripted(fault, 0 if place else skip) for place, fault in enumerate(faults))

    @contextmanager
    def expected(self, *faults: Fault, skip: int = 0) -> Iterator[None]:
        """As :meth:`next`, for a block. :raises AssertionError: at its end, if one of them did not happen."""
        self.next(*faults, skip=skip)
        yield
        self.assert_spent()

    def assert_spent(self) -> None:
        """Look whether all scripted faults have happened. :raises AssertionError: names those that have not."""
        with self._lock:
            left = [scripted.fault for scripted in self._script]
        if left:
            raise AssertionError(f"faults that never happened: {', '.join(left)}; no call came that they can happen to")

    def draw(self, possible: Sequence[Fault], chance: float) -> Fault | None:
        """The fault for a call to which ``possible`` can happen, if any; ``chance`` is a number from 0 to 1."""
        with self._lock:
            if self._script and self._script[0].fault in possible:
                if not self._script[0].skip:
                    return self._script.popleft().fault
                self._script[0].skip -= 1
        for fault in possible:
            chance -= getattr(self, fault)
            if chance < 0:
                return fault
        return None


class FaultyBackend(Backend):
    """Another adapter's backend with faults; it can do what that one can."""

    kind: ClassVar[str] = "faulty"

    def __init__(self, setup: Setup, inner: DatabaseAdapter, faults: Callable[[], Faults], seed: int) -> None:
        super().__init__(setup)
        self.capabilities = inner.capabilities
        self.isolation = inner.isolation
        self.sql_dialect = inner.sql_dialect
        self._inner = inner
        self._faults = faults
        self._random = Random(seed)

    def enforces_access(self, operation: Operation) -> bool:
        return self._inner.enforces_access(operation)

    def refuse_unsupported(self, operation: Operation) -> None:
        super().refuse_unsupported(operation)
        self._inner.backend.refuse_unsupported(operation)

    def execute(self, operation: Operation, context: Context) -> Result:
        fault = self._suffer(_ON_CALL, context)
        if fault == "cut":
            raise _lost(operation)
        result = self._inner.opened(context).execute(operation, context)
        if fault == "error_after_commit":
            raise _lost(operation)
        return result

    def open_session(self, context: Context) -> Session:
        return self._faulty_session(lambda context: self._inner.opened(context).open_session(context), context)

    def open_reading_session(self, context: Context) -> Session:
        return self._faulty_session(lambda context: self._inner.opened(context).open_reading_session(context), context)

    def open(self, context: Context) -> None:
        self._inner.opened(context)

    def close(self) -> None:
        self._inner.disconnect()

    def abandon(self) -> None:
        """Nothing to forget: the inner adapter does so itself."""

    def describe(self) -> dict[str, Any]:
        return {**self._inner.describe(), "inner": self._inner.kind}

    def _faulty_session(self, opener: Callable[[Context], Session], context: Context) -> Session:
        if self._suffer(_ON_BEGIN, context) == "cut":
            raise Unavailable("the connection was lost")
        return _FaultySession(opener(context), self._suffer)

    def _suffer(self, possible: Sequence[Fault], context: Context) -> Fault | None:
        """Draw a fault. One that strikes before anything is sent does so here; what comes later is the caller's."""
        fault = self._faults().draw(possible, self._random.random())
        if fault == "refuse":
            raise ConnectFailed("the connection was refused")
        if fault == "error_before":
            raise Unavailable("the connection was lost before anything was sent")
        if fault == "delay":
            self._delay(context)
        return fault

    def _delay(self, context: Context) -> None:
        Event().wait(min(self._faults().seconds, remaining(context, monotonic)))
        if monotonic() >= context.deadline:
            raise TimedOut("the call was late and nothing was sent before the deadline")


class FaultyAdapter(DatabaseAdapter):
    """The inner adapter with faults; it can do what that one can.

    The inner adapter's own pipeline is passed by. Disconnecting disconnects it, too.

    :param seed: of the random numbers; with the same seed and one thread, the same calls fail in the same way.
    :param faults: kept as :attr:`faults`, which may be replaced at any time; none by default.
    :param config: for this adapter's own pipeline, as for every adapter.
    :param sleep: waits the given seconds between attempts; by default really.
    """

    backend_class = FaultyBackend
    backend: FaultyBackend

    def __init__(
        self,
        inner: DatabaseAdapter,
        seed: int = 0,
        faults: Faults | None = None,
        config: Mapping[str, Any] | None = None,
        name: str | None = None,
        sleep: Sleep | None = None,
    ) -> None:
        self.inner = inner
        self.faults = faults or Faults()
        self._seed = seed
        self._sleep = sleep
        super().__init__(config, inner.schema, name or f"faulty {inner.name}")
        rebuild_after_fork(self, DatabaseAdapter._begin_in_child, after=(inner,))

    def _make_backend(self, setup: Setup) -> Backend:
        return FaultyBackend(setup, self.inner, lambda: self.faults, self._seed)


class _FaultySession(Session):
    """A session whose connection can break; what it did is rolled back then."""

    def __init__(self, inner: Session, suffer: Callable[[Sequence[Fault], Context], Fault | None]) -> None:
        self._inner: Session | None = inner
        self._suffer = suffer

    def execute(self, operation: Operation, context: Context) -> Result:
        if self._suffer(_INSIDE, context) == "cut":
            self.rollback()
        return self._line().execute(operation, context)

    def savepoint(self, name: str) -> None:
        self._line().savepoint(name)

    def release(self, name: str) -> None:
        self._line().release(name)

    def rollback_to(self, name: str) -> None:
        self._line().rollback_to(name)

    def commit(self, context: Context) -> None:
        inner = self._line()
        fault = self._suffer(_ON_COMMIT, context)
        if fault == "cut":
            self.rollback()
        else:
            self._inner = None
            inner.commit(context)
        if fault is not None:
            raise lost_answer("the connection was lost during the commit", reads=False)

    def rollback(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.rollback()

    def _line(self) -> Session:
        if self._inner is None:
            raise Unavailable("the connection of this transaction was lost and its changes were rolled back")
        return self._inner


def _lost(operation: Operation) -> DataError:
    return lost_answer("the connection was lost before the answer came", reads=reads_only(operation))

"""Fault injection: an adapter that wraps another one, for the tests of applications built on the data layer.

>>> adapter = FaultyAdapter(SQLiteAdapter({"path": path}), faults=Faults(refuse=0.1))
>>> adapter.faults.next("error_after_commit")
>>> adapter.table("molecules").insert({"name": "water"}).execute()  # the row is stored, but:
Traceback (most recent call last):
OutcomeUnknown: the connection was lost before the write was confirmed

The adapter has its own pipeline, so faults pass through retry and circuit breaker like those of a real backend. The
effect of each fault on each kind of call:

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
error_after_commit    applied; errors as for cut                                           committed;
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
    """Which faults occur: at random with a rate for each fault, or scripted with :meth:`next`.

    Rates are fractions of calls from 0 to 1 and may be changed at any time: ``refuse = 1.0`` simulates a backend that
    is down, and 0 restores it.

    :param seconds: the delay of a delayed call.
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
        """Inject ``faults`` into the next calls, one per call; each waits for a call to which it applies.

        :param skip: number of calls to which the first fault applies that succeed before it occurs.
        """
        with self._lock:
            self._script.extend(_Scripted(fault, 0 if place else skip) for place, fault in enumerate(faults))

    @contextmanager
    def expected(self, *faults: Fault, skip: int = 0) -> Iterator[None]:
        """Like :meth:`next`, for a block. :raises AssertionError: at its end, if a fault did not occur."""
        self.next(*faults, skip=skip)
        yield
        self.assert_spent()

    def assert_spent(self) -> None:
        """Check that all scripted faults have occurred. :raises AssertionError: names those that have not."""
        with self._lock:
            left = [scripted.fault for scripted in self._script]
        if left:
            raise AssertionError(f"scripted faults did not occur: {', '.join(left)}; no applicable call was made")

    def draw(self, possible: Sequence[Fault], chance: float) -> Fault | None:
        """Return the fault for a call to which ``possible`` apply, if any; ``chance`` is a number from 0 to 1."""
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
    """Another adapter's backend with injected faults and the same capabilities."""

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
        fault = self._inject(_ON_CALL, context)
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
        """Nothing to abandon: the inner adapter abandons its own connections."""

    def describe(self) -> dict[str, Any]:
        return {**self._inner.describe(), "inner": self._inner.kind}

    def _faulty_session(self, opener: Callable[[Context], Session], context: Context) -> Session:
        if self._inject(_ON_BEGIN, context) == "cut":
            raise Unavailable("the connection was lost before the transaction began")
        return _FaultySession(opener(context), self._inject)

    def _inject(self, possible: Sequence[Fault], context: Context) -> Fault | None:
        """Draw a fault. Raise those that occur before anything is sent; the caller applies the others."""
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
            raise TimedOut("the call was delayed past its deadline; nothing was sent")


class FaultyAdapter(DatabaseAdapter):
    """Wraps another adapter and injects faults; has the same capabilities.

    The inner adapter's own pipeline is bypassed. Disconnecting also disconnects the inner adapter.

    :param seed: random seed; with the same seed and one thread, the same calls fail in the same way.
    :param faults: stored as :attr:`faults`, which may be replaced at any time; none by default.
    :param config: configures this adapter's own pipeline, as for every adapter.
    :param sleep: called with the seconds to wait between attempts; really waits by default.
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
    """A session whose connection can break, which rolls back its changes."""

    def __init__(self, inner: Session, inject: Callable[[Sequence[Fault], Context], Fault | None]) -> None:
        self._inner: Session | None = inner
        self._inject = inject

    def execute(self, operation: Operation, context: Context) -> Result:
        if self._inject(_INSIDE, context) == "cut":
            self.rollback()
        return self._require_open().execute(operation, context)

    def savepoint(self, name: str) -> None:
        self._require_open().savepoint(name)

    def release(self, name: str) -> None:
        self._require_open().release(name)

    def rollback_to(self, name: str) -> None:
        self._require_open().rollback_to(name)

    def commit(self, context: Context) -> None:
        inner = self._require_open()
        fault = self._inject(_ON_COMMIT, context)
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

    def _require_open(self) -> Session:
        if self._inner is None:
            raise Unavailable("the connection of this transaction was lost; its changes were rolled back")
        return self._inner


def _lost(operation: Operation) -> DataError:
    return lost_answer("the connection was lost before the answer came", reads=reads_only(operation))

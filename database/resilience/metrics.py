"""Counts and durations per kind of operation, for the status page and the metrics endpoint."""

from __future__ import annotations

from typing import TypedDict

from database.core.clock import Clock
from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import Outcome
from database.core.errors import RequestError
from database.core.operations import Operation
from database.resilience.stages import Answer
from database.resilience.stages import BackendCall

_BUCKETS = 64  # powers of two of microseconds: more than any duration needs


class OperationCounts(TypedDict):
    """The counters of one kind of operation.

    ``ok``, ``request_error``, ``backend_error`` and ``unknown`` add up to all calls. ``unknown`` counts calls with an
    unknown outcome: :class:`~database.core.errors.OutcomeUnknown`, and exceptions from outside of the data layer.
    ``seconds`` is the total duration of all calls; ``durations`` is a histogram: pairs of an upper bound in seconds and
    a count, shortest first.
    """

    ok: int
    request_error: int
    backend_error: int
    unknown: int
    seconds: float
    durations: list[tuple[float, int]]


class _Tally:
    __slots__ = ("backend_error", "durations", "request_error", "seconds", "unknown")

    def __init__(self) -> None:
        self.request_error = 0
        self.backend_error = 0
        self.unknown = 0
        self.seconds = 0.0
        self.durations = [0] * _BUCKETS

    def took(self, seconds: float) -> None:
        self.seconds += seconds
        self.durations[int(seconds * 1e6).bit_length()] += 1

    def failed(self, error: BaseException, seconds: float) -> None:
        self.took(seconds)
        if not isinstance(error, DataError) or error.outcome is Outcome.UNKNOWN:
            self.unknown += 1
        elif isinstance(error, RequestError):
            self.request_error += 1
        else:
            self.backend_error += 1

    def counts(self) -> OperationCounts:
        calls = sum(self.durations)
        return OperationCounts(
            ok=calls - self.request_error - self.backend_error - self.unknown,
            request_error=self.request_error,
            backend_error=self.backend_error,
            unknown=self.unknown,
            seconds=self.seconds,
            durations=[(2**bits / 1e6, count) for bits, count in enumerate(self.durations) if count],
        )


class _Tallies(dict[str, _Tally]):
    def __missing__(self, kind: str) -> _Tally:
        return self.setdefault(kind, _Tally())


class Metrics:
    """The counters of one backend.

    They are incremented without a lock: in rare cases an increment of two threads at the same moment is lost, but no
    call waits for another.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tallies = _Tallies()

    def measured(self, inner: BackendCall[Answer]) -> BackendCall[Answer]:
        """The stage: counts and times every call of ``inner``."""
        clock = self._clock
        tallies = self.tallies

        def call(operation: Operation, context: Context) -> Answer:
            started = clock()
            try:
                answer = inner(operation, context)
            except BaseException as error:
                tallies[operation.kind].failed(error, clock() - started)
                raise
            tallies[operation.kind].took(clock() - started)
            return answer

        return call

    def snapshot(self) -> dict[str, OperationCounts]:
        """The counts so far, by kind of operation."""
        return {kind: tally.counts() for kind, tally in sorted(self.tallies.copy().items())}

"""The pipeline around a call that does nothing, and around calls that wait: beside pybreaker and tenacity."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from pybreaker import CircuitBreaker
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_attempt
from tenacity import wait_random_exponential

from benchmarks.harness import per_call
from benchmarks.harness import report
from benchmarks.harness import wall
from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.result import Result
from database.resilience.pipeline import Pipeline
from database.resilience.policy import Handler

_CALLS = 20_000
_THREADS = 16
_IO_SECONDS = 0.05
_PING = Ping()
_RESULT = Result()
_NEVER = Event()


def run(rounds: int) -> None:
    """Print both tables."""
    _no_op(rounds)
    _waiting(rounds)


def _answer(_operation: Operation, _context: Context) -> Result:
    return _RESULT


def _wait(_operation: Operation, _context: Context) -> Result:
    _NEVER.wait(_IO_SECONDS)
    return _RESULT


def _no_op(rounds: int) -> None:
    pipeline = Pipeline("bench", _answer)
    breaker = CircuitBreaker()
    retrying = Retrying(
        retry=retry_if_exception_type(ConnectionError),
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.1),
        reraise=True,
    )
    observed = pipeline.observe(_answer)
    calls: dict[str, Callable[[], object]] = {
        "bare call": lambda: _answer(_PING, NO_CONTEXT),
        "pipeline.call": lambda: pipeline.call(_PING, NO_CONTEXT),
        "pipeline.observe": lambda: observed(_PING, NO_CONTEXT),
        "pybreaker.call": lambda: breaker.call(_answer, _PING, NO_CONTEXT),
        "tenacity(pybreaker.call)": lambda: retrying(breaker.call, _answer, _PING, NO_CONTEXT),
    }
    cases = {name: per_call(call, _CALLS) for name, call in calls.items()}
    report("A call that does nothing", cases, baseline="bare call", rounds=rounds)


def _waiting(rounds: int) -> None:
    pipeline = Pipeline("bench", _wait)
    breaker = CircuitBreaker()
    with ThreadPoolExecutor(_THREADS) as threads:

        def each(call: Handler) -> Callable[[], object]:
            return lambda: list(threads.map(lambda _: call(_PING, NO_CONTEXT), range(_THREADS)))

        calls = {
            "bare call": each(_wait),
            "pipeline.call": each(pipeline.call),
            "pybreaker.call": each(lambda operation, context: breaker.call(_wait, operation, context)),
        }
        cases = {name: wall(call) for name, call in calls.items()}
        title = f"{_THREADS} threads, each waiting {_IO_SECONDS * 1000:.0f} ms, one backend"
        report(title, cases, baseline="bare call", rounds=rounds)

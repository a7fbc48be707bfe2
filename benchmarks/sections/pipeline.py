"""The pipeline around an empty call and around waiting calls, compared with pybreaker and tenacity."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

from pybreaker import CircuitBreaker
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_attempt
from tenacity import wait_random_exponential

from benchmarks.earlier import pipeline_of
from benchmarks.harness import compare
from benchmarks.harness import per_call
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import Operation
from database import Result
from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.operations import Ping
from database.resilience.pipeline import Pipeline
from database.resilience.stages import Handler

_CALLS = 20_000
_THREADS = 16
_IO_SECONDS = 0.05
_PING = Ping()
_RESULT = Result()
_NEVER = Event()
_BARE = "bare call"
_NO_OP = "A call that does nothing"
_WAITING = f"{_THREADS} threads, each waiting {_IO_SECONDS * 1000:.0f} ms, one backend"
_EARLIER = "pipeline.call, the earlier commit"

LINES = (
    Line("the whole pipeline around a call that does nothing", _NO_OP, "pipeline.call", "a bare call", 1e-6, "figure"),
    Line("the same, beside an earlier commit", _NO_OP, "pipeline.call", "the earlier commit", 0.8, base=_EARLIER),
    Line("16 threads, 50 ms of waiting each", _WAITING, "pipeline.call", "bare threads", 1.1),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure empty and waiting calls."""
    yield _no_op(plan)
    yield _waiting(plan)


def _answer(_operation: Operation, _context: Context) -> Result:
    return _RESULT


def _no_op(plan: Plan) -> Table:
    pipeline = Pipeline("bench", _answer)
    breaker = CircuitBreaker()
    retrying = Retrying(
        retry=retry_if_exception_type(ConnectionError),
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.1),
        reraise=True,
    )
    observed = pipeline.observe(_answer)
    functions: dict[str, Callable[[], object]] = {
        _BARE: lambda: _answer(_PING, NO_CONTEXT),
        "pipeline.call": lambda: pipeline.call(_PING, NO_CONTEXT),
        "pipeline.observe": lambda: observed(_PING, NO_CONTEXT),
        "pybreaker.call": lambda: breaker.call(_answer, _PING, NO_CONTEXT),
        "tenacity(pybreaker.call)": lambda: retrying(breaker.call, _answer, _PING, NO_CONTEXT),
    }
    calls = plan.of(_CALLS)
    cases = {name: per_call(function, calls) for name, function in functions.items()}
    with ExitStack() as processes:
        if plan.earlier:
            cases[_EARLIER] = processes.enter_context(pipeline_of(plan.earlier, calls))
        return compare(_NO_OP, cases, baseline=_BARE, plan=plan)


def _waiting(plan: Plan) -> Table:
    pause = _IO_SECONDS * plan.part

    def wait(_operation: Operation, _context: Context) -> Result:
        _NEVER.wait(pause)
        return _RESULT

    pipeline = Pipeline("bench", wait)
    breaker = CircuitBreaker()
    with ThreadPoolExecutor(_THREADS) as threads:

        def each(call: Handler) -> Callable[[], object]:
            return lambda: list(threads.map(lambda _: call(_PING, NO_CONTEXT), range(_THREADS)))

        functions = {
            _BARE: each(wait),
            "pipeline.call": each(pipeline.call),
            "pybreaker.call": each(lambda operation, context: breaker.call(wait, operation, context)),
        }
        cases = {name: per_call(function, 1) for name, function in functions.items()}
        return compare(_WAITING, cases, baseline=_BARE, plan=plan)

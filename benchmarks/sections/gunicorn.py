"""gunicorn with processes and threads: an application that calls a Convex function through Isthmus, and by urllib3.

The deployment responds after a delay, like a remote one, so that the result depends on whether the threads wait
concurrently. Every request uses a new connection, because one process might accept all persistent ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

from benchmarks.contenders import molecules
from benchmarks.harness import Measure
from benchmarks.harness import compare
from benchmarks.load import keep_busy
from benchmarks.load import serving
from benchmarks.load import status
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from benchmarks.table import per_second
from database import ConvexAdapter
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import laboratory_functions

_PROCESSES = 2
_THREADS = 8
_DELAY = 30  # milliseconds
_SECONDS = 2.0
_BASELINE = "urllib3"
_TITLE = f"gunicorn, {_PROCESSES} x {_THREADS} threads, a Convex function that takes {_DELAY} ms"
_APPLICATIONS = {_BASELINE: "plain", "Isthmus": "isthmus"}


LINES = (
    Line(
        f"Convex of {_DELAY} ms under gunicorn, {_PROCESSES} × {_THREADS} threads, answers a second",  # noqa: RUF001
        _TITLE,
        "Isthmus",
        f"{_BASELINE} in the same app",
        0.85,
        at_least=True,
        shows_figure=False,
    ),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure the responses per second."""
    with laboratory_functions() as functions, ConvexDeployment(functions) as deployment, ExitStack() as resources:
        path = f"/molecules/{_new_molecule(deployment)}"
        deployment.faults.add("delay", ms=_DELAY, count=None)
        environment = {"CONVEX_URL": deployment.url, "CONVEX_DEPLOYMENT_KEY": deployment.deploy_key}
        ports = {
            name: resources.enter_context(serving(_arguments(application, plan), environment, path))
            for name, application in _APPLICATIONS.items()
        }
        cases = {name: _answers_a_second(port, path, plan) for name, port in ports.items()}
        yield compare(_TITLE, cases, baseline=_BASELINE, plan=plan, unit=per_second)


def _new_molecule(deployment: ConvexDeployment) -> str:
    adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
    keys = molecules.fill(adapter)
    adapter.disconnect()
    return keys[0]


def _arguments(application: str, plan: Plan) -> tuple[str, ...]:
    size = ("--workers", str(plan.of(_PROCESSES)), "--threads", str(_THREADS))
    bind = ("--bind", "127.0.0.1:{port}")
    return (
        "-m",
        "gunicorn",
        "--worker-class",
        "gthread",
        *size,
        *bind,
        f"benchmarks.contenders.convex_app:{application}()",
    )


def _answers_a_second(port: int, path: str, plan: Plan) -> Measure:
    def request(connection: HTTPConnection) -> int:
        return status(connection, "GET", path, headers={"Connection": "close"})

    return lambda: keep_busy(port, _SECONDS * plan.part, request, clients=_PROCESSES * _THREADS)

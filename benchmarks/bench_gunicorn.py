"""gunicorn with processes and threads: an application that calls a Convex function through Isthmus, and by urllib3.

The deployment answers after a delay, as one that is far away does, so that what counts is whether the threads wait
at the same time. Every request comes over a connection of its own: connections that stay open may all be accepted by
one process.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks import molecules
from benchmarks.harness import Measure
from benchmarks.harness import compare
from benchmarks.load import keep_busy
from benchmarks.load import serving
from benchmarks.load import status
from database.adapters.convex import ConvexAdapter
from tests.servers.convex_deployment import ConvexDeployment

_PROCESSES = 2
_THREADS = 8
_DELAY = 30  # milliseconds
_SECONDS = 2.0
_TARGET = 0.85
_BASELINE = "urllib3"
_APPLICATIONS = {_BASELINE: "plain", "Isthmus": "isthmus"}


def run(rounds: int) -> None:
    """Print a table of the answers a second."""
    with ConvexDeployment() as deployment, ExitStack() as resources:
        path = f"/molecules/{_new_molecule(deployment)}"
        deployment.faults.add("delay", ms=_DELAY, count=None)
        environment = {"CONVEX_URL": deployment.url, "CONVEX_DEPLOYMENT_KEY": deployment.deploy_key}
        ports = {
            name: resources.enter_context(serving(_arguments(application), environment, path))
            for name, application in _APPLICATIONS.items()
        }
        _report({name: _seconds_an_answer(port, path) for name, port in ports.items()}, rounds)


def _new_molecule(deployment: ConvexDeployment) -> str:
    adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
    keys = molecules.fill(adapter)
    adapter.disconnect()
    return keys[0]


def _arguments(application: str) -> tuple[str, ...]:
    size = ("--workers", str(_PROCESSES), "--threads", str(_THREADS))
    bind = ("--bind", "127.0.0.1:{port}")
    return ("-m", "gunicorn", "--worker-class", "gthread", *size, *bind, f"benchmarks.convex_app:{application}()")


def _seconds_an_answer(port: int, path: str) -> Measure:
    def measure() -> float:
        load = keep_busy(
            port,
            _SECONDS,
            lambda connection: status(connection, "GET", path, headers={"Connection": "close"}),
            clients=_PROCESSES * _THREADS,
        )
        return 1 / load.rate

    return measure


def _report(cases: dict[str, Measure], rounds: int) -> None:
    size = f"{_PROCESSES} x {_THREADS} threads"
    print(f"\n### gunicorn, {size}, a Convex function that takes {_DELAY} ms, target {_TARGET}\n")
    print(f"| case | answers/s | p25-p75 | ratio to *{_BASELINE}* (range) |\n|---|---:|---:|---:|")
    for row in compare(cases, baseline=_BASELINE, rounds=rounds):
        spread = f"{1 / row.high:.0f} - {1 / row.low:.0f}"
        ratio = f"{1 / row.ratio:.2f} ({1 / row.most:.2f}-{1 / row.least:.2f})"
        print(f"| {row.name} | {1 / row.median:.0f} | {spread} | {ratio} |")

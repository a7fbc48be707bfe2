"""Metrics of the databases for Prometheus, collected at each request."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from database import ConnectionManager
from database.resilience.metrics import OperationCounts
from storage import Store

CIRCUIT_STATES = ("closed", "open", "half-open")
OUTCOMES = ("ok", "request_error", "backend_error", "unknown")

_COUNTERS = {
    "openings": "Times the circuit breaker opened.",
    "refused": "Calls that the open circuit breaker refused.",
}
_GAUGES = {
    "in_flight": "Calls and transactions in progress.",
    "active_transactions": "Open transactions.",
    "retries_left": "Retries that the retry budget allows now.",
}
_POOL_PREFIX = "pool_"


class AdapterCollector(Collector):
    """Collects the metrics of every adapter of ``manager``, with its name as the label ``adapter``.

    :param stores: those whose calls have a pipeline of their own are collected, too, as ``store:<name>``.
    """

    def __init__(self, manager: ConnectionManager, stores: Mapping[str, Store] | None = None) -> None:
        self._manager = manager
        self._stores = stores or {}

    def collect(self) -> Iterator[Metric]:
        infos = [(adapter.name, adapter.get_connection_info()) for adapter in self._manager.adapters.values()]
        infos += [
            (f"store:{name}", dict(store.pipeline.snapshot())) for name, store in self._stores.items() if store.pipeline
        ]
        yield self._active()
        yield _circuits(infos)
        for key, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"isthmus_circuit_{key}", text, labels=["adapter"])
            _fill(counter, infos, key)
            yield counter
        for key, text in _GAUGES.items():
            gauge = GaugeMetricFamily(f"isthmus_{key}", text, labels=["adapter"])
            _fill(gauge, infos, key)
            yield gauge
        yield _pools(infos)
        yield from _operations(infos)

    def _active(self) -> Metric:
        family = GaugeMetricFamily("isthmus_active", "1 for the database that gets the writes.", labels=["adapter"])
        for name in self._manager.adapters:
            family.add_metric([name], float(name == self._manager.active_adapter))
        return family


def _circuits(infos: list[tuple[str, dict[str, Any]]]) -> Metric:
    family = GaugeMetricFamily(
        "isthmus_circuit_state", "1 for the circuit breaker's state.", labels=["adapter", "state"]
    )
    for name, info in infos:
        for state in CIRCUIT_STATES:
            family.add_metric([name, state], float(info["circuit_state"] == state))
    return family


def _fill(family: CounterMetricFamily | GaugeMetricFamily, infos: list[tuple[str, dict[str, Any]]], key: str) -> None:
    for name, info in infos:
        if info.get(key) is not None:
            family.add_metric([name], float(info[key]))


def _pools(infos: list[tuple[str, dict[str, Any]]]) -> Metric:
    family = GaugeMetricFamily("isthmus_pool", "Connections of the pool by state.", labels=["adapter", "connections"])
    for name, info in infos:
        for key, value in info.items():
            if key.startswith(_POOL_PREFIX) and isinstance(value, int | float):
                family.add_metric([name, key.removeprefix(_POOL_PREFIX)], float(value))
    return family


def _operations(infos: list[tuple[str, dict[str, Any]]]) -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "isthmus_operations", "Operations sent to the database, by outcome.", labels=["adapter", "operation", "outcome"]
    )
    durations = HistogramMetricFamily(
        "isthmus_operation_duration_seconds", "Duration of operations.", labels=["adapter", "operation"]
    )
    for name, info in infos:
        for kind, counts in info["operations"].items():
            for outcome, count in zip(OUTCOMES, _by_outcome(counts), strict=True):
                calls.add_metric([name, kind, outcome], count)
            durations.add_metric([name, kind], _buckets(counts), counts["seconds"])
    yield calls
    yield durations


def _by_outcome(counts: OperationCounts) -> tuple[int, ...]:
    return counts["ok"], counts["request_error"], counts["backend_error"], counts["unknown"]


def _buckets(counts: OperationCounts) -> list[tuple[str, float]]:
    """Cumulative counts, as Prometheus requires."""
    bounds = [bound for bound, _ in counts["durations"]]
    totals = list(accumulate(count for _, count in counts["durations"]))
    named = [(repr(bound), float(total)) for bound, total in zip(bounds, totals, strict=True)]
    return [*named, ("+Inf", float(totals[-1] if totals else 0))]

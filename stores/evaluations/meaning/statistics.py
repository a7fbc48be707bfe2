"""Numbers about evaluations and their metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Final

from database.core.result import Row
from stores.evaluations.meaning.statuses import CANCELLED
from stores.evaluations.meaning.statuses import COMPLETED
from stores.evaluations.meaning.statuses import ENDED
from stores.evaluations.meaning.statuses import STATUSES

_PERCENTILES: Final = (50, 90, 95, 99)
_JUDGED: Final = ENDED - {CANCELLED}
"""The statuses that say whether an evaluation has succeeded."""


def statistics_of(tally: Iterable[tuple[str, int | None, int]]) -> dict[str, Any]:
    """The statistics of evaluations.

    ``success_rate`` is the share of the completed ones among those that have completed, failed or timed out; None if
    there are none. ``runtime_ms`` has milliseconds of those that have run and ended: ``p90`` is the smallest runtime
    that at least 90 % of them do not exceed.

    :param tally: how many evaluations have each status and runtime.
    """
    by_status: Counter[str] = Counter(dict.fromkeys(STATUSES, 0))
    runtimes: Counter[int] = Counter()
    for status, runtime, number in tally:
        by_status[status] += number
        if runtime is not None:
            runtimes[runtime] += number
    judged = sum(by_status[status] for status in _JUDGED)
    return {
        "total": by_status.total(),
        "by_status": dict(by_status),
        "success_rate": by_status[COMPLETED] / judged if judged else None,
        "runtime_ms": _distribution(runtimes),
    }


def aggregates_of(metrics: Iterable[Row]) -> dict[str, dict[str, float]]:
    """By name of the metric: ``count``, ``min``, ``max``, ``mean``, ``sum`` and ``last``.

    :param metrics: in their order.
    """
    values: dict[str, list[float]] = {}
    for metric in metrics:
        values.setdefault(metric["metric_name"], []).append(metric["metric_value"])
    return {name: _aggregate(given) for name, given in sorted(values.items())}


def _aggregate(values: list[float]) -> dict[str, float]:
    total = _sum(values)
    return {
        "count": len(values),
        "min": min(values),
        "max": max(values),
        "mean": total / len(values) if math.isfinite(total) else math.fsum(one / len(values) for one in values),
        "sum": total,
        "last": values[-1],
    }


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return math.copysign(math.inf, math.fsum(one / len(values) for one in values))


def _distribution(runtimes: Mapping[int, int]) -> dict[str, float | None]:
    number = sum(runtimes.values())
    shown: dict[str, float | None] = {"count": number, "min": None, "max": None, "mean": None}
    shown |= {f"p{percent}": None for percent in _PERCENTILES}
    if not number:
        return shown
    ordered = sorted(runtimes.items())
    total = sum(runtime * times for runtime, times in ordered)
    shown |= {"min": ordered[0][0], "max": ordered[-1][0], "mean": total / number}
    ranks = {f"p{percent}": math.ceil(number * percent / 100) for percent in _PERCENTILES}
    seen = 0
    for runtime, times in ordered:
        seen += times
        shown |= {name: runtime for name, rank in ranks.items() if seen - times < rank <= seen}
    return shown

"""Settings: zero is a value, nonsense is refused."""

from __future__ import annotations

from dataclasses import fields
from dataclasses import replace
from typing import Any

import pytest

from database.resilience.settings import ResilienceSettings


@pytest.mark.parametrize("name", [field.name for field in fields(ResilienceSettings)])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_negative_numbers_and_nan_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        replace(ResilienceSettings(), **{name: value})


@pytest.mark.parametrize(("name", "value"), [("failure_rate", 1.1), ("window", 0.5), ("trial_timeout", 0)])
def test_values_without_a_meaning_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        replace(ResilienceSettings(), **{name: value})


def test_zero_is_kept_where_it_means_something() -> None:
    settings = ResilienceSettings(0, 0, 0, 0, 0)
    assert (settings.timeout, settings.retry_count, settings.circuit_breaker_threshold) == (0, 0, 0)
    assert (settings.circuit_breaker_timeout, settings.max_concurrency) == (0, 0)

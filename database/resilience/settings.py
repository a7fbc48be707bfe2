"""The settings of a backend's pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields


@dataclass(frozen=True, slots=True)
class ResilienceSettings:
    """Timeouts, limits and thresholds. Times are in seconds; zero never means "the default".

    :param timeout: time for a call with all its attempts; 0 sets no limit.
    :param retry_count: attempts after the first; 0 tries once.
    :param circuit_breaker_threshold: failures within ``window`` that may open the circuit; 0 never opens it.
    :param circuit_breaker_timeout: time for which the circuit first stays open; 0 allows a trial at once.
    :param max_concurrency: concurrent calls and sessions of the backend; 0 sets no limit.
    :param trial_timeout: time after which another trial may replace one that has not finished.
    :param window: time for which outcomes are counted; at least one second.
    :param failure_rate: share of failed calls, from 0 to 1, that is needed to open the circuit in addition to the
        threshold.
    :raises ValueError: for a negative number, a rate above 1, a window below 1 or a trial timeout of 0.
    """

    timeout: float = 30.0
    retry_count: int = 3
    circuit_breaker_threshold: int = 5
    circuit_breaker_timeout: float = 60.0
    max_concurrency: int = 64
    trial_timeout: float = 5.0
    window: float = 10.0
    failure_rate: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                raise ValueError(f"{field.name} must not be negative")
        if self.failure_rate > 1:
            raise ValueError("failure_rate must be between 0 and 1")
        if self.window < 1:
            raise ValueError("window must be at least 1 second, the size of its buckets")
        if self.trial_timeout == 0:
            raise ValueError("trial_timeout must be greater than 0")

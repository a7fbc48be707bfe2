"""The numbers of a backend's pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields


@dataclass(frozen=True, slots=True)
class ResilienceSettings:
    """How patient a backend's pipeline is. Times are in seconds; zero is a value, never "the default".

    :param timeout: time for a call with all its attempts; 0 sets no limit of its own.
    :param retry_count: attempts after the first; 0 tries once.
    :param circuit_breaker_threshold: failures within ``window`` that may open the circuit; 0 never opens it.
    :param circuit_breaker_timeout: time the circuit stays open at first; 0 allows a trial at once.
    :param max_concurrency: calls and sessions at the backend at the same time; 0 sets no limit.
    :param trial_timeout: time after which a trial that did not answer gives way to another.
    :param window: how long an outcome counts; at least one second.
    :param failure_rate: share of failed calls, 0 to 1, that opens the circuit together with the threshold.
    :raises ValueError: for a negative number, a rate above 1, a window below 1 or no trial time at all.
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
            raise ValueError("failure_rate is a share between 0 and 1")
        if self.window < 1:
            raise ValueError("window must be at least 1 second, the size of its buckets")
        if self.trial_timeout == 0:
            raise ValueError("trial_timeout must be positive, or every trial would be late")

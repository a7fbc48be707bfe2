"""Which function stores a value, and with which arguments: the prefix of the key decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final

from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from storage.core.errors import shown
from storage.core.keys import check_key

EXPERIMENT: Final = "experiment"
RUN: Final = "run"
_RECORD_TYPES: Final = {
    "episode": "episode",
    "trajectory": "trajectory",
    "agent_legacy": "agent_legacy",
    "training_run": "training_run",
    # As Convergence itself makes keys of these two.
    "legacy": "agent_legacy",
    "rl_training": "training_run",
}
_PREFIXES: Final = (*_RECORD_TYPES, EXPERIMENT, RUN)

_Fields = Mapping[str, tuple[str, ...]]
"""By the argument of a function, the fields of a value that it is taken from: the first that is there."""

_RL_FIELDS: Final[_Fields] = {
    "civilization_id": ("civilization_id",),
    "station": ("station",),
    "reward_score": ("reward", "reward_score"),
    "fitness_score": ("fitness_score",),
    "success": ("success",),
}
_EXPERIMENT_FIELDS: Final[_Fields] = {
    "generation_number": ("generation", "generation_number"),
    "latency_ms": ("latency_ms",),
    "cost_usd": ("cost_usd",),
    "full_metrics": ("metrics", "full_metrics"),
    "session_id": ("session_id",),
}
_RUN_FIELDS: Final[_Fields] = {
    "winning_config_id": ("winning_config_id",),
    "winning_config_snapshot": ("winning_config", "winning_config_snapshot"),
    "total_generations": ("total_generations",),
    "convergence_achieved": ("convergence_achieved",),
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that stores a value.

    :ivar function: its name in a client.
    """

    function: str
    arguments: dict[str, Any]


def prefix_of(key: str) -> str:
    """The part of a key before the first colon. :raises StorageKeyError: if no function is for it."""
    prefix, colon, rest = check_key(key).partition(":")
    if not (colon and rest) or prefix not in _PREFIXES:
        known = ", ".join(f"{one}:" for one in _PREFIXES)
        raise StorageKeyError(f"there is no function for the key {shown(key)}; it must begin with one of {known}")
    return prefix


def id_of(key: str) -> str:
    """The id of an experiment or a run, from its key."""
    return key.partition(":")[2]


def sent(key: str, value: Any) -> Sent:
    """The call that stores ``value`` under ``key``.

    :raises StorageKeyError: if no function is for it, or if the value has another id than the key.
    :raises StorageSerializationError: if the value is no dictionary.
    """
    prefix = prefix_of(key)
    if not isinstance(value, Mapping):
        raise StorageSerializationError(
            f"the value of {shown(key)} is of type {type(value).__name__}, and must be a dictionary"
        )
    if prefix == EXPERIMENT:
        return _experiment(key, value)
    return _run(key, value) if prefix == RUN else _rl_data(key, _RECORD_TYPES[prefix], value)


def _rl_data(key: str, record_type: str, value: Mapping[str, Any]) -> Sent:
    required = {
        "rl_key": key,
        "rl_record_type": record_type,
        "agent_id": value.get("agent_id", "unknown"),
        "episode_timestamp": value.get("timestamp", 0),
        "rl_episode_data": value,
    }
    return Sent("save_rl_data", {**required, **_given(_RL_FIELDS, value)})


def _experiment(key: str, value: Mapping[str, Any]) -> Sent:
    required = {
        "experiment_id": _checked_id(key, value, "experiment_id"),
        "optimization_run_id": value.get("optimization_run_id", "unknown"),
        "system_name": value.get("system_name", "unknown"),
        "algorithm_name": value.get("algorithm_name", "unknown"),
        "test_case_id": value.get("test_case_id", "unknown"),
        "tested_config": _first(value, ("tested_config", "config"), {}),
        "experiment_score": _first(value, ("score", "experiment_score"), 0.0),
        "test_passed": _first(value, ("passed", "test_passed"), False),
        "experiment_timestamp": _first(value, ("timestamp", "experiment_timestamp"), 0),
    }
    return Sent("save_experiment", {**required, **_given(_EXPERIMENT_FIELDS, value)})


def _run(key: str, value: Mapping[str, Any]) -> Sent:
    id_ = _checked_id(key, value, "run_id")
    if value.get("status") == "completed":
        return Sent("complete_optimization_run", {"run_id": id_, **_given(_RUN_FIELDS, value)})
    names = {name: value.get(name, "unknown") for name in ("system_name", "algorithm_name")}
    return Sent("start_optimization_run", {"run_id": id_, **names})


def _checked_id(key: str, value: Mapping[str, Any], field: str) -> str:
    """The id by which it is found again: that of the key."""
    id_ = id_of(key)
    if value.get(field, id_) != id_:
        raise StorageKeyError(
            f"the value of {shown(key)} has another {field} than its key, and would not be found again"
        )
    return id_


def _given(fields: _Fields, value: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _first(value, names, None) for name, names in fields.items()}
    return {name: part for name, part in found.items() if part is not None}


def _first(value: Mapping[str, Any], names: tuple[str, ...], default: Any) -> Any:
    return next((value[name] for name in names if name in value), default)

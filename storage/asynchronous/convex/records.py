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
RECORD_TYPES: Final = {
    "episode": "episode",
    "trajectory": "trajectory",
    "agent_legacy": "agent_legacy",
    "training_run": "training_run",
    # As Convergence itself makes keys of these two.
    "legacy": "agent_legacy",
    "rl_training": "training_run",
}
"""The types of reinforcement-learning records, by the prefixes of their keys."""

PREFIXES: Final = (*RECORD_TYPES, EXPERIMENT, RUN)

Fields = Mapping[str, tuple[str, ...]]
"""By the argument of a function, the fields of a value that it is taken from: the first that is there."""

_RL_FIELDS: Final[Fields] = {
    "civilization_id": ("civilization_id",),
    "station": ("station",),
    "reward_score": ("reward", "reward_score"),
    "fitness_score": ("fitness_score",),
    "success": ("success",),
}
_EXPERIMENT_FIELDS: Final[Fields] = {
    "generation_number": ("generation", "generation_number"),
    "latency_ms": ("latency_ms",),
    "cost_usd": ("cost_usd",),
    "full_metrics": ("metrics", "full_metrics"),
    "session_id": ("session_id",),
}
_RUN_FIELDS: Final[Fields] = {
    "winning_config_id": ("winning_config_id",),
    "winning_config_snapshot": ("winning_config", "winning_config_snapshot"),
    "total_generations": ("total_generations",),
    "convergence_achieved": ("convergence_achieved",),
}
_NAMES: Final = ("optimization_run_id", "system_name", "algorithm_name", "test_case_id")
_RESULTS: Final[Fields] = {
    "tested_config": ("tested_config", "config"),
    "experiment_score": ("score", "experiment_score"),
    "test_passed": ("passed", "test_passed"),
    "experiment_timestamp": ("timestamp", "experiment_timestamp"),
}
EXPERIMENT_FIELDS: Final[Fields] = {**{name: (name,) for name in _NAMES}, **_RESULTS, **_EXPERIMENT_FIELDS}
RUN_FIELDS: Final[Fields] = {**{name: (name,) for name in ("system_name", "algorithm_name", "status")}, **_RUN_FIELDS}
"""All documented fields of an experiment, and of a run, apart from their ids."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that stores a value.

    :ivar function: its name in a client.
    """

    function: str
    arguments: dict[str, Any]


def prefix_of(key: str) -> str:
    """The part of a key before the first colon. :raises StorageKeyError: if no records have it."""
    prefix, colon, rest = check_key(key).partition(":")
    if not (colon and rest) or prefix not in PREFIXES:
        known = ", ".join(f"{one}:" for one in PREFIXES)
        raise StorageKeyError(f"no records have the key {shown(key)}; it must have an id behind one of {known}")
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
    return _run(key, value) if prefix == RUN else _rl_data(key, RECORD_TYPES[prefix], value)


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
        **{name: value.get(name, "unknown") for name in _NAMES},
        "tested_config": first_of(value, _RESULTS["tested_config"], {}),
        "experiment_score": first_of(value, _RESULTS["experiment_score"], 0.0),
        "test_passed": first_of(value, _RESULTS["test_passed"], False),
        "experiment_timestamp": first_of(value, _RESULTS["experiment_timestamp"], 0),
    }
    return Sent("save_experiment", {**required, **_given(_EXPERIMENT_FIELDS, value)})


def _run(key: str, value: Mapping[str, Any]) -> Sent:
    id_ = _checked_id(key, value, "run_id")
    if value.get("status") == "completed":
        return Sent("complete_optimization_run", {"run_id": id_, **_given(_RUN_FIELDS, value)})
    names = {name: value.get(name, "unknown") for name in ("system_name", "algorithm_name")}
    return Sent("start_optimization_run", {"run_id": id_, **names})


def documented(arguments: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The arguments of a function by the names that the fields of a value have; others keep their names.

    :raises StorageSerializationError: if one is given by both of its names.
    """
    value: dict[str, Any] = {}
    for name, part in arguments.items():
        field = fields[name][0] if name in fields else name
        if field in value:
            raise StorageSerializationError(f"{name} and {field} are two names of one field; give one of them")
        value[field] = part
    return value


def _checked_id(key: str, value: Mapping[str, Any], field: str) -> str:
    """The id by which it is found again: that of the key."""
    id_ = id_of(key)
    if value.get(field, id_) != id_:
        raise StorageKeyError(
            f"the value of {shown(key)} has another {field} than its key, and would not be found again"
        )
    return id_


def _given(fields: Fields, value: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: first_of(value, names, None) for name, names in fields.items()}
    return {name: part for name, part in found.items() if part is not None}


def first_of(value: Mapping[str, Any], names: tuple[str, ...], default: Any) -> Any:
    """The field of a value by the first of its names that it has."""
    return next((value[name] for name in names if name in value), default)

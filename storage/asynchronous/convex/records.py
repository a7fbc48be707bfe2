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
RUN_NAMES: Final = ("system_name", "algorithm_name")
"""What a run is started with, apart from its id."""

EXPERIMENT_FIELDS: Final[Fields] = {**{name: (name,) for name in _NAMES}, **_RESULTS, **_EXPERIMENT_FIELDS}
RUN_FIELDS: Final[Fields] = {**{name: (name,) for name in (*RUN_NAMES, "status")}, **_RUN_FIELDS}
"""All documented fields of an experiment, and of a run, apart from their ids."""

STARTED: Final = "started"
COMPLETED: Final = "completed"
"""The statuses of a run; there is a function for each."""

START: Final = "start_optimization_run"
COMPLETE: Final = "complete_optimization_run"

EPISODE_DATA: Final = "rl_episode_data"
"""The argument, and the field, that has the value of reinforcement-learning data."""

UNKNOWN: Final = "unknown"
"""A name that a function needs, and a value does not have."""

_IDS: Final = {EXPERIMENT: "experiment_id", RUN: "run_id"}
_FIELDS: Final = {EXPERIMENT: EXPERIMENT_FIELDS, RUN: RUN_FIELDS}


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


def checked(key: str, value: Any) -> Mapping[Any, Any]:
    """The record to be stored under ``key``.

    :raises StorageKeyError: if no records have the key, or if the record has another id than the key.
    :raises StorageSerializationError: if it is no dictionary.
    """
    prefix = prefix_of(key)
    if not isinstance(value, Mapping):
        raise StorageSerializationError(
            f"the value of {shown(key)} is of type {type(value).__name__}, and must be a dictionary"
        )
    if prefix in _IDS and value.get(_IDS[prefix], id_of(key)) != id_of(key):
        raise StorageKeyError(
            f"the value of {shown(key)} has another {_IDS[prefix]} than its key, and would not be found again"
        )
    return value


def sent(key: str, value: Any) -> Sent:
    """The call that stores ``value`` under ``key``, with all of its fields.

    :raises StorageKeyError: as :func:`checked`.
    :raises StorageSerializationError: as :func:`checked`, or if the function has no place for a part of the value.
    """
    record = checked(key, value)
    prefix = prefix_of(key)
    if prefix in RECORD_TYPES:
        return _rl_data(key, RECORD_TYPES[prefix], record)
    if names := [name for name in record if not isinstance(name, str)]:
        raise StorageSerializationError(f"the names of the fields of {shown(key)} must be text, not {shown(names[0])}")
    return _experiment(key, record) if prefix == EXPERIMENT else _run(key, record)


def loaded(key: str, data: Any) -> Any:
    """The value of a key, in what a function has answered for it.

    Its fields have their documented names, whether the client keeps these or the arguments of the functions. A client
    that has no field for the id need not answer with one.
    """
    prefix = prefix_of(key)
    if not isinstance(data, Mapping):
        return data
    if prefix in RECORD_TYPES:
        return data.get(EPISODE_DATA, data)
    fields = {name: names[0] for names in _FIELDS[prefix].values() for name in names}
    # Of a client that answers with both names of a field, both are kept.
    names = {name: name if fields.get(name) in data else fields.get(name, name) for name in data}
    return {_IDS[prefix]: id_of(key), **{names[name]: part for name, part in data.items()}}


def documented(arguments: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The arguments of a function by the names that the fields of a value have; others keep their names.

    :raises StorageSerializationError: if one is given by both of its names.
    """
    return _renamed(arguments, {argument: names[0] for argument, names in fields.items()})


def first_of(value: Mapping[str, Any], names: tuple[str, ...], default: Any) -> Any:
    """The field of a value by the first of its names that it has."""
    return next((value[name] for name in names if name in value), default)


def _rl_data(key: str, record_type: str, value: Mapping[str, Any]) -> Sent:
    required = {
        "rl_key": key,
        "rl_record_type": record_type,
        "agent_id": value.get("agent_id", UNKNOWN),
        "episode_timestamp": value.get("timestamp", 0),
        EPISODE_DATA: value,
    }
    # The whole value is sent besides, so that these are copies, and None need not be one.
    copies = {name: first_of(value, names, None) for name, names in _RL_FIELDS.items()}
    return Sent("save_rl_data", {**required, **{name: part for name, part in copies.items() if part is not None}})


def _experiment(key: str, value: Mapping[str, Any]) -> Sent:
    required = {
        "experiment_id": id_of(key),
        **dict.fromkeys(_NAMES, UNKNOWN),
        "tested_config": {},
        "experiment_score": 0.0,
        "test_passed": False,
        "experiment_timestamp": 0,
    }
    return Sent("save_experiment", {**required, **_arguments(value, EXPERIMENT_FIELDS)})


def _run(key: str, value: Mapping[str, Any]) -> Sent:
    fields = _arguments(value, RUN_FIELDS)
    status = fields.pop("status", STARTED)
    if status == COMPLETED:
        return Sent(COMPLETE, {"run_id": id_of(key), **fields})
    if status != STARTED:
        raise StorageSerializationError(
            f"the run {shown(key)} has the status {shown(status)}, and a client has functions for {STARTED!r} and"
            f" {COMPLETED!r} only; save it with one of these. A completed run may say in another field how it ended"
        )
    # A result of None is none yet.
    results = {name for names in _RUN_FIELDS.values() for name in names}
    names = {name: part for name, part in fields.items() if name in RUN_NAMES}
    kept = {"run_id", "status", *RUN_NAMES, *(name for name in results if value.get(name) is None)}
    if lost := sorted(value.keys() - kept):
        raise StorageSerializationError(
            f"{START} has no place for {', '.join(lost)} of {shown(key)}; save this with the status {COMPLETED!r},"
            " or leave it out until then"
        )
    return Sent(START, {"run_id": id_of(key), **dict.fromkeys(RUN_NAMES, UNKNOWN), **names})


def _arguments(value: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The fields of a value by the names of arguments; those that are not documented keep their names."""
    return _renamed(value, {name: argument for argument, names in fields.items() for name in names})


def _renamed(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A value with other names of its fields. :raises StorageSerializationError: if two of them get the same name."""
    given: dict[str, str] = {}
    for name in value:
        if (other := given.setdefault(names.get(name, name), name)) != name:
            raise StorageSerializationError(f"{name} and {other} are two names of one field; give one of them")
    return {new: value[name] for new, name in given.items()}

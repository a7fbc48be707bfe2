"""Whether the functions of a client do what storage needs of them."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

import uuid_utils

from database.core.clock import utc_now
from storage.asynchronous.convex.functions import OPTIONAL
from storage.asynchronous.convex.functions import REQUIRED
from storage.asynchronous.convex.functions import Functions
from storage.asynchronous.convex.records import COMPLETE
from storage.asynchronous.convex.records import COMPLETED
from storage.asynchronous.convex.records import START
from storage.asynchronous.convex.records import STARTED
from storage.asynchronous.convex.routed import RoutedStorage
from storage.asynchronous.convex.routed import getter_of
from storage.core.errors import StorageError

_ID: Final = "verify_integration"


@dataclass(frozen=True, slots=True)
class IntegrationReport:
    """What was found of a client.

    :ivar problems: by the name of a function, what is wrong with it.
    :ivar absent: optional functions that it does not have.
    :ivar unchecked: functions that answer, while no other one could say whether they stored anything.
    """

    problems: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all functions that it has work, and all required ones are there."""
        return not self.problems

    def __str__(self) -> str:
        said = dict.fromkeys((*REQUIRED, *OPTIONAL), "works")
        said |= dict.fromkeys(self.unchecked, "answers; whether it stores anything could not be checked")
        said |= dict.fromkeys(self.absent, "not there; it is optional")
        return "\n".join(f"{name}: {what}" for name, what in {**said, **self.problems}.items())


@dataclass(frozen=True, slots=True)
class _Write:
    """A value, and the function that stores it."""

    function: str
    key: str
    value: dict[str, Any]

    @property
    def getter(self) -> str:
        return getter_of(self.key)


async def verify_integration(client: object) -> IntegrationReport:
    """Store an episode, an experiment and a run by the functions of a client, and load, list and delete them.

    What is loaded must be what was stored. If it is not, both functions have a problem, as either can be the reason.
    All is deleted if the client has ``delete_by_key``, and otherwise remains; the ids begin with
    ``verify_integration``, and are new each time.

    :param client: as for :class:`~storage.asynchronous.convex.storage.ConvexStorage`.
    """
    verification = _Verification(Functions(client, {}))
    writes = _writes(f"{_ID}:{uuid_utils.uuid7()}")
    for write in writes:
        await verification.store(write)
    keys = dict.fromkeys(write.key for write in writes)
    await verification.list([key for key in keys if verification.has_stored(key)])
    for key in keys:
        await verification.delete(key)
    return verification.report()


class _Verification:
    """What is known so far.

    :param functions: those of the client.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._storage = RoutedStorage(functions)
        self._problems = dict.fromkeys(functions.missing(), "is not there")
        self._doubts: dict[str, str] = {}
        self._unchecked: list[str] = []
        self._found: dict[str, set[str]] = {}

    def has_stored(self, key: str) -> bool:
        """Whether what was stored under a key was found there."""
        return key in self._found.get(getter_of(key), ())

    def report(self) -> IntegrationReport:
        """The problems of all functions. A getter that has found something else is not doubted."""
        doubts = {name: doubt for name, doubt in self._doubts.items() if name not in self._found}
        absent = tuple(name for name in OPTIONAL if name not in self._functions)
        unchecked = tuple(name for name in self._unchecked if name not in self._problems)
        return IntegrationReport({**doubts, **self._problems}, absent, unchecked)

    async def store(self, write: _Write) -> None:
        """Store a value, and load it."""
        if write.function in self._problems:
            return
        if problem := await _problem(self._storage.save(write.key, write.value)):
            self._problems[write.function] = problem
        elif write.getter not in self._functions:
            self._unchecked.append(write.function)
        else:
            await self._load(write)

    async def _load(self, write: _Write) -> None:
        try:
            wrong = _difference(await self._storage.load(write.key), write.value)
        except KeyError:
            wrong = "nothing"
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is wrong with it
            self._problems.setdefault(write.getter, _text(error))
            self._unchecked.append(write.function)
            return
        if wrong is None:
            self._found.setdefault(write.getter, set()).add(write.key)
            await self._miss(write)
            return
        self._problems[write.function] = f"{write.getter} returns {wrong} after it has stored a value"
        self._doubts.setdefault(write.getter, f"returns {wrong} after {write.function} has stored a value")

    async def _miss(self, write: _Write) -> None:
        """Load what was never stored."""

        async def misses() -> None:
            if await self._storage.exists(f"{write.key}:absent"):
                raise StorageError("it returns a value for a key under which nothing is stored; it must return no data")

        if problem := await _problem(misses()):
            self._problems.setdefault(write.getter, f"of what was never stored: {problem}")

    async def list(self, keys: list[str]) -> None:
        """Look for each of the keys in a list."""
        if "list_keys" not in self._functions:
            return

        async def lists(key: str) -> None:
            if (found := await self._storage.list_keys(key)) != [key]:
                what = "not list it" if key not in found else "list other keys, too"
                raise StorageError(f"of the prefix {key!r}, which is a key, it does {what}")

        for key in keys:
            if problem := await _problem(lists(key)):
                self._problems.setdefault("list_keys", problem)

    async def delete(self, key: str) -> None:
        """Delete what is under a key, whether it was found there or not."""
        if "delete_by_key" not in self._functions:
            return

        async def deletes() -> None:
            await self._storage.delete(key)
            if self.has_stored(key) and await self._storage.exists(key):
                raise StorageError(f"what was under {key!r} is still there")

        if problem := await _problem(deletes()):
            self._problems.setdefault("delete_by_key", problem)


def _writes(id_: str) -> tuple[_Write, ...]:
    """All documented fields, and one in each kind of record that no other record has."""
    episode = {"agent_id": id_, "timestamp": int(utc_now().timestamp()), "station": _ID, "reward": 0.5, "success": True}
    names = {"system_name": id_, "algorithm_name": _ID}
    experiment: dict[str, Any] = {**names, "experiment_id": id_, "optimization_run_id": id_, "test_case_id": _ID}
    experiment |= {"tested_config": {"threshold": 0.75}, "score": 0.5, "passed": True, "timestamp": 1, "generation": 3}
    experiment |= {"latency_ms": 150, "cost_usd": 0.5, "metrics": {"recall": 1.5}}
    result = {"winning_config_id": id_, "winning_config": {"threshold": 0.75}, "total_generations": 5}
    started = {**names, "run_id": id_, "status": STARTED}
    completed = {**started, "status": COMPLETED, **result, "convergence_achieved": True}
    return (
        _Write("save_rl_data", f"episode:{id_}", episode),
        _Write("save_experiment", f"experiment:{id_}", experiment),
        _Write(START, f"run:{id_}", started),
        _Write(COMPLETE, f"run:{id_}", completed),
    )


def _difference(found: Any, expected: Mapping[str, Any]) -> str | None:
    """How a loaded value is not the expected one; it may have more fields."""
    if not isinstance(found, Mapping):
        return f"a value of type {type(found).__name__}"
    missing = [name for name in expected if name not in found]
    others = [name for name, part in expected.items() if name in found and found[name] != part]
    parts = [f"{what} {', '.join(names)}" for what, names in (("no", missing), ("another", others)) if names]
    return " and ".join(parts) or None


async def _problem(work: Awaitable[None]) -> str | None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is wrong with it
        return _text(error)
    return None


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

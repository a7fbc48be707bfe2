"""Whether the functions of a client do what storage needs of them."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from functools import partial
from typing import Any
from typing import Final

import uuid_utils

from database.core.clock import utc_now
from storage.asynchronous.convex.functions import OPTIONAL
from storage.asynchronous.convex.functions import REQUIRED
from storage.asynchronous.convex.functions import Functions
from storage.asynchronous.convex.routed import RoutedStorage
from storage.core.errors import StorageError

_ID: Final = "verify_integration"


@dataclass(frozen=True, slots=True)
class IntegrationReport:
    """What was found of a client.

    :ivar problems: by the name of a function, what is wrong with it.
    :ivar absent: optional functions that it does not have.
    """

    problems: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all required functions work."""
        return not self.problems

    def __str__(self) -> str:
        lines = [f"{name}: {self.problems.get(name, 'works')}" for name in {**dict.fromkeys(REQUIRED), **self.problems}]
        return "\n".join([*lines, *(f"{name}: not there; it is optional" for name in self.absent)])


async def verify_integration(client: object) -> IntegrationReport:
    """Store an episode, an experiment and a run by the functions of a client, and load what can be loaded.

    They are deleted if it has ``delete_by_key``, and otherwise remain; their ids begin with ``verify_integration``.

    :param client: as for :class:`~storage.asynchronous.convex.storage.ConvexStorage`.
    """
    functions = Functions(client, {})
    problems = dict.fromkeys(functions.missing(), "is not there")
    storage, id_ = RoutedStorage(functions), f"{_ID}:{uuid_utils.uuid7()}"
    for name, check in _checks(storage, id_):
        if name not in problems and (problem := await _problem(check)) is not None:
            problems[name] = problem
    if "delete_by_key" in functions:
        for prefix in ("episode", "experiment", "run"):
            if problem := await _problem(partial(storage.delete, f"{prefix}:{id_}")):
                problems["delete_by_key"] = problem
    return IntegrationReport(problems, tuple(name for name in OPTIONAL if name not in functions))


def _checks(storage: RoutedStorage, id_: str) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
    episode = {"agent_id": _ID, "timestamp": int(utc_now().timestamp()), "reward": 0.5}
    run = {"system_name": _ID, "algorithm_name": _ID}

    async def loads(key: str, expected: dict[str, Any]) -> None:
        found = await storage.load(key)
        if not isinstance(found, dict) or any(found.get(name) != part for name, part in expected.items()):
            raise StorageError("it returns something else than was stored")

    return [
        ("save_rl_data", lambda: storage.save(f"episode:{id_}", episode)),
        ("get_rl_data_by_key", lambda: loads(f"episode:{id_}", episode)),
        ("save_experiment", lambda: storage.save(f"experiment:{id_}", {"score": 0.5, "tested_config": {"a": 1}})),
        ("start_optimization_run", lambda: storage.save(f"run:{id_}", {**run, "status": "started"})),
        ("complete_optimization_run", lambda: storage.save(f"run:{id_}", {**run, "status": "completed"})),
        ("get_optimization_run", lambda: loads(f"run:{id_}", {})),
    ]


async def _problem(check: Callable[[], Awaitable[None]]) -> str | None:
    try:
        await check()
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is wrong with it
        return f"{type(error).__name__}: {error}"
    return None

"""The asynchronous faces of experiments: a storage, and a client with functions. Both run in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from database.core.errors import DataError
from storage.core.entry import Entry
from stores.experiments.core import Experiments

Answer = dict[str, Any]
"""``{"success": bool, "data": any, "error": str}``; ``data`` and ``error`` may be None."""


class ExperimentStorage:
    """Experiments with the methods of ``StorageProtocol``, all of them awaited.

    :param experiments: what it is a face of.
    """

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments

    async def save(self, key: str, value: Any) -> None:
        """Store a value, replacing the one that is there. :raises StorageError: as :meth:`Experiments.save`."""
        await asyncio.to_thread(self._experiments.save, key, value)

    async def load(self, key: str) -> Any:
        """The value of a key. :raises StorageNotFoundError: if there is none; it is a ``KeyError``."""
        return await asyncio.to_thread(self._experiments.load, key)

    async def exists(self, key: str) -> bool:
        """Whether there is a value. :raises StorageError: if that cannot be known."""
        return await asyncio.to_thread(self._experiments.exists, key)

    async def delete(self, key: str) -> None:
        """Delete a value, if there is one."""
        await asyncio.to_thread(self._experiments.delete, key)

    async def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with ``prefix``, in order."""
        return await asyncio.to_thread(self._experiments.list_keys, prefix)

    async def count_keys(self, prefix: str = "") -> int:
        """How many keys begin with ``prefix``."""
        return await asyncio.to_thread(self._experiments.count, prefix)

    async def clear(self, prefix: str = "") -> int:
        """Delete what begins with ``prefix``; returns the number of values."""
        return await asyncio.to_thread(self._experiments.clear, prefix)

    async def close(self) -> None:
        """Close all connections; the next call opens them again."""
        await asyncio.to_thread(self._experiments.close)


class ExperimentClient:
    """Experiments as a client for :class:`~storage.ConvexStorage`. Each method answers :data:`Answer`; one that was not
    successful names the error.

    :param experiments: what it is a face of.
    """

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments

    async def save_rl_data(
        self,
        /,
        rl_key: str,
        rl_record_type: str,
        agent_id: str,
        episode_timestamp: float,
        rl_episode_data: Mapping[str, Any],
        **optional_fields: Any,
    ) -> Answer:
        """As :meth:`Experiments.save_rl_data`."""
        required = (rl_key, rl_record_type, agent_id, episode_timestamp, rl_episode_data)
        return await _stored(lambda: self._experiments.save_rl_data(*required, **optional_fields))

    async def get_rl_data_by_key(self, rl_key: str) -> Answer:
        """As :meth:`Experiments.get_rl_data_by_key`."""
        return await _answer(lambda: self._experiments.get_rl_data_by_key(rl_key))

    async def save_experiment(  # noqa: PLR0913, PLR0917 - as documented
        self,
        /,
        experiment_id: str,
        optimization_run_id: str,
        system_name: str,
        algorithm_name: str,
        test_case_id: str,
        tested_config: Any,
        experiment_score: float,
        test_passed: bool,
        experiment_timestamp: float,
        **optional_fields: Any,
    ) -> Answer:
        """As :meth:`Experiments.save_experiment`."""
        named = (experiment_id, optimization_run_id, system_name, algorithm_name, test_case_id)
        results = (tested_config, experiment_score, test_passed, experiment_timestamp)
        return await _stored(lambda: self._experiments.save_experiment(*named, *results, **optional_fields))

    async def get_experiment(self, experiment_id: str) -> Answer:
        """As :meth:`Experiments.get_experiment`."""
        return await _answer(lambda: self._experiments.get_experiment(experiment_id))

    async def start_optimization_run(self, run_id: str, system_name: str, algorithm_name: str) -> Answer:
        """As :meth:`Experiments.start_optimization_run`."""
        return await _stored(lambda: self._experiments.start_optimization_run(run_id, system_name, algorithm_name))

    async def complete_optimization_run(self, /, run_id: str, **optional_fields: Any) -> Answer:
        """As :meth:`Experiments.complete_optimization_run`."""
        return await _stored(lambda: self._experiments.complete_optimization_run(run_id, **optional_fields))

    async def get_optimization_run(self, run_id: str) -> Answer:
        """As :meth:`Experiments.get_optimization_run`."""
        return await _answer(lambda: self._experiments.get_optimization_run(run_id))

    async def delete_by_key(self, key: str) -> Answer:
        """As :meth:`Experiments.delete`."""
        return await _answer(lambda: self._experiments.delete(key))

    async def list_keys(self, prefix: str) -> Answer:
        """As :meth:`Experiments.list_keys`."""
        return await _answer(lambda: self._experiments.list_keys(prefix))


def answer(data: Any = None, error: str | None = None) -> Answer:
    """The answer of a function: its data, or why it was not successful."""
    return {"success": error is None, "data": data, "error": error}


def stored(entry: Entry) -> dict[str, str]:
    """What a function that stores a record answers."""
    return {"key": entry.key}


async def _stored(work: Callable[[], Entry]) -> Answer:
    return await _answer(lambda: stored(work()))


async def _answer(work: Callable[[], Any]) -> Answer:
    try:
        return answer(await asyncio.to_thread(work))
    except DataError as error:
        return answer(error=str(error))

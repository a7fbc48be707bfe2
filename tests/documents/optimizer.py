"""What document 000 takes from its framework and from the reader's application: an optimizer, and a client."""

from __future__ import annotations

from typing import Any

from storage import StorageProtocol


class ConvergenceSDK:
    """Stores what an optimization stores, as the document lists it."""

    def __init__(self, *, storage: StorageProtocol) -> None:
        assert isinstance(storage, StorageProtocol)
        self._storage = storage

    async def optimize(self, system_name: str, test_cases: list[dict[str, Any]]) -> None:
        """Store an experiment and an episode for each test case."""
        for number, case in enumerate(test_cases):
            experiment = {"system_name": system_name, "test_case_id": case["id"], "score": 0.5, "passed": True}
            await self._storage.save(f"experiment:{number}", {**experiment, "tested_config": {"threshold": 0.75}})
            await self._storage.save(f"episode:{number}", {"agent_id": "a", "timestamp": 1, "reward": 0.5})


class Client:
    """The methods that a client must have, over dictionaries."""

    def __init__(self) -> None:
        self.rl_data: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}

    async def save_rl_data(
        self,
        rl_key: str,
        rl_record_type: str,
        agent_id: str,
        episode_timestamp: int,
        rl_episode_data: dict[str, Any],
        **optional_fields: Any,
    ) -> dict[str, Any]:
        required = {"rl_record_type": rl_record_type, "agent_id": agent_id, "episode_timestamp": episode_timestamp}
        self.rl_data[rl_key] = {**required, "rl_episode_data": rl_episode_data, **optional_fields}
        return {"success": True}

    async def get_rl_data_by_key(self, rl_key: str) -> dict[str, Any]:
        return {"success": True, "data": self.rl_data.get(rl_key)}

    async def save_experiment(  # noqa: PLR0917 - as documented
        self,
        experiment_id: str,
        optimization_run_id: str,
        system_name: str,
        algorithm_name: str,
        test_case_id: str,
        tested_config: dict[str, Any],
        experiment_score: float,
        test_passed: bool,
        experiment_timestamp: int,
        **optional_fields: Any,
    ) -> dict[str, Any]:
        self.experiments[experiment_id] = {
            "optimization_run_id": optimization_run_id,
            "system_name": system_name,
            "algorithm_name": algorithm_name,
            "test_case_id": test_case_id,
            "tested_config": tested_config,
            "experiment_score": experiment_score,
            "test_passed": test_passed,
            "experiment_timestamp": experiment_timestamp,
            **optional_fields,
        }
        return {"success": True}

    async def start_optimization_run(self, run_id: str, system_name: str, algorithm_name: str) -> dict[str, Any]:
        self.runs[run_id] = {"system_name": system_name, "algorithm_name": algorithm_name, "status": "started"}
        return {"success": True}

    async def complete_optimization_run(self, run_id: str, **optional_fields: Any) -> dict[str, Any]:
        self.runs[run_id] |= {"status": "completed", **optional_fields}
        return {"success": True}

    async def get_optimization_run(self, run_id: str) -> dict[str, Any]:
        return {"success": True, "data": self.runs.get(run_id)}


my_client = Client()

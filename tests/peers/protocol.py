"""Runs in Convergence's environment: its protocol accepts our storage, its registry makes it, and its manager uses it.

``python -m tests.peers.protocol``, in an empty folder.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

from convergence.storage import LegacyManager
from convergence.storage import RLAction
from convergence.storage import RLEpisode
from convergence.storage import RLState
from convergence.storage import StorageProtocol
from convergence.storage import StorageRegistry

import storage
import stores


def made() -> list[Any]:
    """One of each of our classes."""
    return [
        storage.SQLiteStorage("a.db"),
        storage.FileStorage("files"),
        storage.MemoryStorage(),
        storage.MultiBackendStorage(sqlite_path="c.db", file_base_dir="more files"),
        storage.ConvexStorage(object()),
        experiments(),
    ]


def experiments() -> stores.ExperimentStorage:
    """Where each record is one of its kind."""
    return stores.ExperimentStorage(stores.Experiments.on_store(storage.Store(storage.MemoryEntries())))


def episode(number: int) -> RLEpisode:
    """An episode of an agent."""
    state = RLState(agent_level=1)
    return RLEpisode(
        episode_id="",
        agent_id="a1",
        station="s",
        challenge_level=1,
        state=state,
        action=RLAction(strategy="careful", confidence=0.5),
        reward=number / 10,
        next_state=state,
        success=True,
        fitness_score=0.5,
        duration_seconds=1.0,
    )


async def use(kept: Any) -> None:
    """Have their manager record episodes. :raises AssertionError: if they are not kept."""
    manager = LegacyManager(kept)
    episodes = [episode(number) for number in range(5)]
    keys = [await manager.record_episode(one) for one in episodes]
    assert await kept.list_keys("episode:") == sorted(keys)
    assert await kept.load(keys[3]) == episodes[3].model_dump()
    legacy = await manager.get_agent_legacy("a1")
    assert legacy is not None
    assert legacy.total_episodes == len(episodes)
    await manager.close()


async def main() -> None:
    """Use our storage. :raises AssertionError: if it is not accepted, or does not keep what it is given."""
    accepted = [type(one).__name__ for one in made() if isinstance(one, StorageProtocol)]
    StorageRegistry.register("isthmus", storage.MultiBackendStorage)
    kept = StorageRegistry.get("isthmus", sqlite_path="b.db", file_base_dir="b")
    await use(kept)
    assert (await kept.verify_integrity()).consistency == 1.0
    await use(experiments())
    print(f"the-convergence {version('the-convergence')}: its protocol accepts {', '.join(accepted)}")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())

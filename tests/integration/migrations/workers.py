"""What the processes of a test do."""

from __future__ import annotations

from multiprocessing.synchronize import Barrier
from queue import Queue
from typing import Any

from database.adapter.base import DatabaseAdapter
from database.schema.migrations import runner


def upgrade(kind: type[DatabaseAdapter], config: dict[str, Any], together: Barrier, answers: Queue[Any]) -> None:
    """Upgrade once all processes are ready; answer with what was applied, or with the error."""
    adapter = kind(config)
    together.wait(60)
    try:
        answers.put(runner.upgrade(adapter))
    except Exception as error:  # noqa: BLE001  # whatever it is, the test is to see it
        answers.put(repr(error))
    finally:
        adapter.disconnect()

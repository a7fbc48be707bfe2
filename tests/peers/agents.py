"""Runs in Praval's environment: its own decorator and reef run the agents of document 004, with our storage.

``python -m tests.peers.agents``, in an empty folder, with ``POSTGRES_…`` and ``REDIS_…`` for the servers.
"""

from __future__ import annotations

import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import praval

from storage import RedisProvider
from storage import get_data_manager
from tests.documents.blocks import Block
from tests.documents.blocks import blocks

DOCUMENT = Path(__file__).parents[1] / "documents" / "004.txt"
PYTHON = {block.section.split(" / ")[-1]: block for block in blocks(DOCUMENT, "python")}
IMPORTS = {
    "from praval import agent, get_data_manager": "from praval import agent\nfrom storage import get_data_manager",
    "from praval.storage import": "from storage import",
}
TIMEOUT = 60.0


def block(section: str) -> Block:
    """The block of a section, with imports of our storage."""
    found = PYTHON[section]
    return found.with_replaced({text: other for text, other in IMPORTS.items() if text in found.code})


def run(function: Any, **knowledge: Any) -> None:
    """Send an agent a message, and wait until it has handled it."""
    praval.start_agents(function, initial_data=knowledge)
    praval.get_reef().wait_for_completion(timeout=TIMEOUT)


class Log(logging.Handler):
    """What Praval says of errors of agents."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main() -> None:
    """Run the agents. :raises AssertionError: if one did not do what the document says."""
    # Praval chooses a provider when it makes an agent; these agents call none.
    os.environ.setdefault("OPENAI_API_KEY", "not used")
    log = Log()
    logging.getLogger("praval").addHandler(log)
    dm = get_data_manager()

    run(block("@storage_enabled").run()["agent_with_storage"])
    assert dm.query("filesystem", {}) == [{"result": "..."}], log.texts

    run(block("Storage with Agents").run(process_data=str.upper)["handle_data"], input="text")
    assert dm.query("postgresql", {"metadata.processed_at": "2025-01-15"}) == ["TEXT"], log.texts

    called: list[Any] = []
    critical = block("@requires_storage").with_replaced({"    pass\n": "    called.append(spore)\n"})
    function = critical.run(agent=praval.agent, called=called)["critical_agent"]
    run(function)
    assert len(called) == 1, log.texts
    dm.register_provider("redis", RedisProvider(port=int(os.environ["NOBODY_LISTENS"])))
    run(function)
    assert len(called) == 1
    assert any("Could not connect to Redis" in text for text in log.texts), log.texts
    print(f"praval {version('praval')}: agents have storage, and fail fast without it")  # noqa: T201


if __name__ == "__main__":
    main()

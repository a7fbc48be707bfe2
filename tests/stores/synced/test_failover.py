"""While the primary database is out of reach, record stores read from the fallback, and refuse to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.settings import load_settings
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.errors import ConnectFailed
from storage import StorageConnectionError
from stores import DatabaseClient
from stores import Evaluations
from stores import EvaluationsInTables
from stores import Experiments
from tests.stores.synced.conftest import SCHEMA
from tests.stores.synced.conftest import Side
from tests.stores.synced.conftest import sync
from tests.stores.synced.laboratory import PACKAGE


def test_reads_go_on_and_writes_are_refused(tmp_path: Path) -> None:
    settings = load_settings(
        None, ENVIRONMENT="testing", INSTANCE_PATH=tmp_path, JWT_SECRET="s" * 40, APPLICATION_PACKAGE=PACKAGE
    )
    primary = FaultyAdapter(MemoryAdapter(schema=SCHEMA, name="supabase"), config={"retry_count": 0})
    fallback = MemoryAdapter(schema=SCHEMA, name="local")
    manager = ConnectionManager(settings, {"supabase": primary, "local": fallback})
    agents, experiments = DatabaseClient(manager), Experiments.on_tables(manager)
    evaluations = Evaluations(EvaluationsInTables(manager))
    with as_application():
        agents.save_state("a", "s", {"v": 1})
        agents.save_conversation("c", {"text": "hello"})
        evaluations.create("e", "1")
        experiments.start_optimization_run("r", "search", "mab")
        sync(*(Side(one, evaluations.blobs) for one in (primary, fallback)))
        primary.faults.refuse = 1.0
        assert agents.get_state("a", "s") == {"v": 1}
        assert agents.get_conversation_history("c") == [{"text": "hello"}]
        assert [one.id for one in evaluations.page().evaluations] == ["e"]
        assert experiments.list_keys() == ["run:r"]
        writes: list[Callable[[], Any]] = [
            lambda: agents.save_state("a", "s", {"v": 2}),
            lambda: agents.change_state("a", "s", lambda _: {"v": 2}),
            lambda: evaluations.update("e", status="running"),
            lambda: experiments.complete_optimization_run("r"),
        ]
        for write in writes:
            with pytest.raises((ConnectFailed, StorageConnectionError)):
                write()
        primary.faults.refuse = 0.0
        primary.connect()
        agents.save_state("a", "s", {"v": 3})
        assert agents.get_state("a", "s") == {"v": 3}
        assert evaluations.get("e") is not None
    manager.disconnect()

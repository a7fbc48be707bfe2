"""Subscriptions through the connection manager, and at the end of a program."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from config.settings import load_settings
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend
from database.connection_manager import ConnectionManager
from database.core.errors import Unsupported
from database.core.result import Row
from tests.unit.changes.support import PATIENCE


class _WithoutFeed(MemoryBackend):
    capabilities = replace(MemoryBackend.capabilities, changes=False)


class WithoutFeed(MemoryAdapter):
    """A backend that tells nobody of its changes."""

    backend_class = _WithoutFeed


PROGRAM = """
from queue import SimpleQueue
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend

results = SimpleQueue()
subscription = MemoryAdapter().table("molecules").subscribe(results.put)
print(results.get(timeout=10), subscription.active)
"""


def test_a_subscription_keeps_no_program_from_ending() -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    root = Path(__file__).parents[3]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("[] True\n", "", 0)


def test_a_manager_subscribes_at_its_active_adapter() -> None:
    results = SimpleQueue[list[Row]]()
    manager = ConnectionManager(load_settings(None), {"main": MemoryAdapter(), "spare": MemoryAdapter()})
    subscription = manager.table("molecules").select("name").subscribe(results.put)
    assert results.get(timeout=PATIENCE) == []
    manager.table("molecules").insert({"name": "water"}).execute()
    assert results.get(timeout=PATIENCE) == [{"name": "water"}]
    manager.disconnect()
    assert not subscription.active


def test_a_manager_refuses_what_its_active_adapter_cannot() -> None:
    adapter = WithoutFeed(name="main")
    manager = ConnectionManager(load_settings(None), {"main": adapter, "spare": MemoryAdapter()})
    with pytest.raises(Unsupported, match="main does not support changes"):
        manager.table("molecules").subscribe(lambda _: None)
    manager.disconnect()

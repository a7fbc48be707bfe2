"""Databases with the declared tables, and another program that writes what a column cannot have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import apsw
import psycopg
import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.supabase import SupabaseAdapter
from tests.contract.foreign import ConvexProgram
from tests.integration.sync.conftest import _convex
from tests.integration.sync.conftest import _sqlite
from tests.integration.sync.conftest import _supabase
from tests.servers.available import available
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import SupabaseApi

Made = tuple[DatabaseAdapter, Callable[[str, str], object]]
"""An adapter, and what gives a molecule another ``updated_at``, by its id, past the adapter."""


def _on_sqlite(request: pytest.FixtureRequest, stack: ExitStack) -> Made:
    adapter = _sqlite(request)
    file = apsw.Connection(adapter.config["path"].as_posix())
    file.set_busy_timeout(10_000)
    stack.callback(file.close)
    return adapter, lambda record_id, moment: file.execute(_moving(record_id, moment))


def _on_postgresql(request: pytest.FixtureRequest, stack: ExitStack) -> Made:
    adapter = _supabase(request)
    names = {"host": "host", "port": "port", "user": "user", "password": "password", "database": "dbname"}
    given = {ours: adapter.config[name] for name, ours in names.items()}
    connection = stack.enter_context(psycopg.connect(**given, autocommit=True))
    return adapter, lambda record_id, moment: connection.execute(_moving(record_id, moment).encode())


def _over_http(request: pytest.FixtureRequest, stack: ExitStack) -> Made:
    direct, move = _on_postgresql(request, stack)
    direct.disconnect()
    config = {name: direct.config[name] for name in ("host", "port", "user", "password", "database")}
    project = stack.enter_context(available(SupabaseApi, PostgresDatabase(**config)))
    return SupabaseAdapter({"url": project.url, "key": project.service_key}), move


def _on_convex(request: pytest.FixtureRequest, stack: ExitStack) -> Made:
    adapter = _convex(request)
    program = ConvexProgram(adapter.config["url"], adapter.config["key"], "molecules")
    stack.callback(program.close)
    return adapter, lambda record_id, moment: program.spoil(record_id, "updated_at", moment)


def _moving(record_id: str, moment: str) -> str:
    return f"update molecules set updated_at = '{moment}' where id = '{record_id}'"


SPOILED: dict[str, Callable[[pytest.FixtureRequest, ExitStack], Made]] = {
    "sqlite": _on_sqlite,
    "postgresql": _on_postgresql,
    "convex": _on_convex,
    "http": _over_http,
}

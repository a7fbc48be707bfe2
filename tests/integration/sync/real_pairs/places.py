"""Databases of each kind behind a line that can be cut, on servers that can be killed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import closing
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Final
from typing import Protocol

import apsw
import psycopg

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.schema.migrations import runner
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import laboratory_functions
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi
from tests.servers.supabase_api import prepare

ADAPTERS: Final[dict[str, type[DatabaseAdapter]]] = {
    "postgres": PostgresAdapter,
    "sqlite": SQLiteAdapter,
    "supabase": SupabaseAdapter,
    "convex": ConvexAdapter,
}

PATIENT: Final = {"timeout": 20.0, "circuit_breaker_threshold": 0}
"""Of the users, who wait until a server is back."""

EAGER: Final = {"timeout": 5.0, "circuit_breaker_timeout": 0.2}
"""Of the sync, whose circuit breakers open, and close again soon."""

COMMITS: Final = {"postgres": b"commit", "supabase": b"isthmus", "convex": b"isthmus:commit"}
"""What is in a request that commits a transaction."""


class Killable(Protocol):
    """A server that keeps what it has committed."""

    def kill(self) -> None:
        """End it with SIGKILL."""

    def start(self) -> None:
        """Start it again, and wait until it answers."""


class Killed:
    """The processes of one server, the last one of which needs the others."""

    def __init__(self, *parts: PostgresServer | ConvexDeployment | SupabaseApi) -> None:
        self._parts = parts

    def kill(self) -> None:
        for part in reversed(self._parts):
            part.kill() if isinstance(part, PostgresServer) else part.stop()

    def start(self) -> None:
        for part in self._parts:
            part.start()


@dataclass(frozen=True, slots=True)
class Place:
    """One of the two databases.

    :ivar adapter: does not go through the line.
    :ivar config: of adapters that do.
    :ivar line: the way that sync takes; None if there is none.
    :ivar server: None if there is none.
    :ivar sql: where another program writes SQL: a connection string or a file; None where it cannot.
    """

    kind: str
    adapter: DatabaseAdapter
    config: dict[str, Any] = field(repr=False)
    line: FaultProxy | None = None
    server: Killable | None = None
    sql: str | Path | None = None

    def execute(self, text: str, values: Sequence[Any]) -> int:
        """Run a statement as another program would. :returns: how many rows it has changed."""
        if isinstance(self.sql, Path):
            with closing(apsw.Connection(str(self.sql))) as file:
                file.set_busy_timeout(20_000)
                file.execute(text.replace("%s", "?"), values)
                return file.changes()
        with psycopg.connect(str(self.sql), connect_timeout=20) as other:
            return other.execute(text.encode(), values).rowcount


def place(kind: str, postgres: PostgresServer, folder: Path, parts: ExitStack) -> Place:
    """A database with the declared tables, empty. It ends with ``parts``."""
    made = {"sqlite": _sqlite, "convex": _convex}.get(kind, _on_postgres)(kind, postgres, folder, parts)
    parts.callback(made.adapter.disconnect)
    return made


def _sqlite(kind: str, _: PostgresServer, folder: Path, __: ExitStack) -> Place:
    config = {"path": folder / "side.db", "synchronous": "normal"}
    adapter = SQLiteAdapter({**config, **PATIENT}, name=kind)
    runner.upgrade(adapter)
    return Place(kind, adapter, {**config, **EAGER}, sql=config["path"])  # type: ignore[arg-type]


def _convex(kind: str, _: PostgresServer, __: Path, parts: ExitStack) -> Place:
    deployment = available(ConvexDeployment, parts.enter_context(laboratory_functions()), durable=True)
    parts.enter_context(deployment)
    line = parts.enter_context(FaultProxy(deployment.port))
    config = {"url": f"http://127.0.0.1:{line.port}", "key": deployment.deploy_key, **EAGER}
    adapter = ConvexAdapter({**config, **PATIENT, "url": deployment.url}, name=kind)
    return Place(kind, adapter, config, line, Killed(deployment))


def _on_postgres(kind: str, server: PostgresServer, _: Path, parts: ExitStack) -> Place:
    database = server.create_database()
    prepare(database)
    if kind == "postgres":
        line = parts.enter_context(FaultProxy(database.port))
        config = {**asdict(database.at(line.port)), **EAGER}
        adapter: DatabaseAdapter = PostgresAdapter({**asdict(database), **PATIENT}, name=kind)
        return Place(kind, adapter, config, line, Killed(server), database.dsn)
    return _supabase(database, server, parts)


def _supabase(database: PostgresDatabase, server: PostgresServer, parts: ExitStack) -> Place:
    project = parts.enter_context(available(SupabaseApi, database))
    line = parts.enter_context(FaultProxy(project.port))
    config = {"url": f"http://127.0.0.1:{line.port}", "key": project.service_key, **EAGER}
    adapter = SupabaseAdapter({**config, **PATIENT, "url": project.url}, name="supabase")
    return Place("supabase", adapter, config, line, Killed(server, project), database.dsn)

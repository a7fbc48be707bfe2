"""A Convex deployment and a Supabase project with the same tables and the same functions."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import ClassVar

import httpx
import psycopg

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.operations import Call
from database.core.operations import QueryCall
from database.schema.migrations.supabase import functions
from tests.contract.backends import supabase_database
from tests.integration.buffered.tables import SCHEMA
from tests.integration.buffered.tables import metadata
from tests.integration.buffered.traffic import Answered
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi
from tests.servers.tokens import TokenSigner

_HERE = Path(__file__).parent
_FUNCTIONS = _HERE / "ledger.sql"
_POLICIES = _HERE / "policies.sql"

Config = dict[str, Any]


class Server(ABC):
    """What the tests need to know of a backend's server.

    :cvar commit: the name of the function that carries out commits.
    :cvar reserve: of the one that makes the keys of new records.
    :cvar adder: of one that makes a memo every time it is called.
    :cvar reader: of one that changes nothing.
    :cvar add: a call of ``adder``.
    :cvar read: a call of ``reader``, which returns the number of memos.
    """

    adapter: ClassVar[type[DatabaseAdapter]]
    commit: ClassVar[str]
    reserve: ClassVar[str]
    adder: ClassVar[str]
    reader: ClassVar[str]
    add: ClassVar[Call]
    read: ClassVar[Call]

    @property
    @abstractmethod
    def port(self) -> int:
        """Where it listens."""

    @property
    @abstractmethod
    def credentials(self) -> Config:
        """The configuration of an adapter that may do everything, but for the URL."""

    @property
    @abstractmethod
    def overload(self) -> Callable[..., Answered]:
        """Makes the answer of a server that has too much to do, with more headers."""

    @abstractmethod
    def clear(self) -> None:
        """Delete all rows."""

    @abstractmethod
    def restart(self) -> bool:
        """Kill it with SIGKILL and start it again; whether its rows are still there."""

    @abstractmethod
    def token(self, subject: str, **claims: Any) -> str:
        """An access token that it accepts, if ``claims`` do not spoil it."""

    @abstractmethod
    def viewer(self, adapter: DatabaseAdapter) -> str:
        """As whom it carries out a function: a user's subject, ``nobody`` or ``service``."""

    @abstractmethod
    def lose_a_race(self) -> None:
        """Let the next commit fail as if it had lost a race inside the server, where that is told to clients."""


class ConvexServer(Server):
    """A deployment."""

    adapter = ConvexAdapter
    commit = "isthmus:commit"
    reserve = "isthmus:reserve"
    adder = "ledger:add"
    reader = "ledger:count"
    add = Call(adder, {"owner": "nobody"})
    read = Call(reader, {})

    def __init__(self, deployment: ConvexDeployment, signer: TokenSigner) -> None:
        self.deployment = deployment
        self._signer = signer

    @property
    def port(self) -> int:
        return self.deployment.port

    @property
    def credentials(self) -> Config:
        return {"key": self.deployment.deploy_key, "functions": {self.adder: "mutation", self.reader: "query"}}

    @property
    def overload(self) -> Callable[..., Answered]:
        return lambda **headers: Answered(503, "Overloaded", **headers)

    def clear(self) -> None:
        self.deployment.reset()

    def restart(self) -> bool:
        self.deployment.stop()
        self.deployment.start()
        return False

    def token(self, subject: str, **claims: Any) -> str:
        return self._signer.token(subject, **claims)

    def viewer(self, adapter: DatabaseAdapter) -> str:
        caller = adapter.call("users:viewer")
        if caller is None:
            return "nobody"
        return "service" if caller["service"] else str(caller["subject"])

    def lose_a_race(self) -> None:
        self.deployment.faults.add("conflict", path=self.commit)

    def actors(self) -> dict[str, str | None]:
        """Who has made each memo, by the memo's id, as the change log has it."""
        headers = {"Authorization": f"Convex {self.deployment.deploy_key}"}
        cursor = {"rev": {"$integer": "AAAAAAAAAAA="}, "seq": {"$integer": "AAAAAAAAAAA="}, "limit": 4_000.0}
        body = {"path": "isthmus:changes", "args": cursor, "format": "convex_encoded_json"}
        answer = httpx.post(f"{self.deployment.url}/api/query", json=body, headers=headers, trust_env=False)
        return {change["id"]: change["actor"] for change in answer.raise_for_status().json()["value"]}


class SupabaseServer(Server):
    """A project."""

    adapter = SupabaseAdapter
    commit = "isthmus_commit"
    reserve = "isthmus_numbers"
    adder = "ledger_add"
    reader = "ledger_count"
    add = Call(adder, {"owner": "nobody"})
    read = QueryCall(reader, {})

    def __init__(self, project: SupabaseApi) -> None:
        self.project = project

    @property
    def port(self) -> int:
        return self.project.port

    @property
    def credentials(self) -> Config:
        return {"key": self.project.service_key, "anon_key": self.project.anon_key}

    @property
    def overload(self) -> Callable[..., Answered]:
        return lambda **headers: Answered(503, **headers)

    def clear(self) -> None:
        self.execute("truncate accounts, transfers, memos, receipts")

    def restart(self) -> bool:
        # A project that starts makes its own function for who asks anew, on which the policies rest.
        self.execute("drop policy own on memos; drop policy nobodys on memos")
        self.project.stop()
        self.project.start()
        self.protect()
        return True

    def protect(self) -> None:
        """Let row level security decide on memos."""
        self.execute(_POLICIES.read_text())

    def execute(self, statements: str) -> None:
        """Run SQL on the project's database."""
        with psycopg.connect(self.project.database.dsn, autocommit=True) as connection:
            connection.execute(statements.encode())

    def token(self, subject: str, **claims: Any) -> str:
        return self.project.user_token(subject, **claims)

    def viewer(self, adapter: DatabaseAdapter) -> str:
        caller = adapter.call("ledger_viewer")
        roles = {"anon": "nobody", "service_role": "service", "authenticated": caller["subject"]}
        return str(roles[caller["role"]])

    def lose_a_race(self) -> None:
        """Nothing: PostgreSQL lets one of two commits wait."""


@contextmanager
def running_deployment(folder: Path, signer: TokenSigner) -> Iterator[Server]:
    """A deployment of the tests' functions, laid out in ``folder``."""
    target = functions_with(SCHEMA, folder, _HERE / "functions")
    with available(ConvexDeployment, target, provider=signer.provider) as deployment:
        yield ConvexServer(deployment, signer)


@contextmanager
def running_project(postgres: PostgresServer) -> Iterator[Server]:
    """A project with the tests' tables, functions and policies."""
    database = supabase_database(postgres)
    database.create(metadata)
    database.execute(functions.script())
    with available(SupabaseApi, database) as project:
        server = SupabaseServer(project)
        server.execute(_FUNCTIONS.read_text())
        server.protect()
        project.reload()
        yield server

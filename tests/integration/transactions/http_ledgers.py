"""The ledger on servers without interactive transactions: a Convex deployment and a Supabase project over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.result import Row
from database.schema.migrations.supabase import functions
from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import insert
from tests.integration.convex_functions.support import read
from tests.integration.convex_functions.support import update
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import SCHEMA
from tests.integration.transactions.ledger import TIMEOUT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import SqlLedger
from tests.integration.transactions.ledger import Wire
from tests.integration.transactions.ledger import create_in
from tests.integration.transactions.ledger import outside_postgresql
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import SupabaseApi


class BufferedLedger(Ledger):
    """A ledger whose adapters send a transaction when it commits: only they know of an open one.

    :param make: makes an adapter.
    """

    buffered = True

    def __init__(self, make: Callable[..., DatabaseAdapter], wire: Wire) -> None:
        self._make = make
        self._adapters: list[DatabaseAdapter] = []
        self.wire = wire

    def adapter(self, **config: Any) -> DatabaseAdapter:
        made = self._make(**config)
        self._adapters.append(made)
        return made

    def has_open_transaction(self) -> bool:
        return any(adapter.get_connection_info()["active_transactions"] for adapter in self._adapters)


class ConvexLedger(BufferedLedger):
    """A ledger in a deployment that has the tables and no rows.

    :param functions: those of the deployment, as a client calls them.
    """

    def __init__(self, deployment: ConvexDeployment, functions: Functions) -> None:
        def make(**config: Any) -> DatabaseAdapter:
            known = {"url": deployment.url, "key": deployment.deploy_key, "timeout": TIMEOUT}
            return ConvexAdapter({**known, **config}, SCHEMA)

        super().__init__(make, Wire(deployment.port, _redirected, b"isthmus:commit"))
        self.deployment = deployment
        self._functions = functions
        self._functions.commit(insert("accounts", {"id": ACCOUNT, "balance": 0}))

    def rows(self, table: str) -> list[Row]:
        rows: list[Row] = self._functions.select(table)["rows"]
        return rows

    def write(self, note: str) -> bool:
        (account,) = (row for row in self.rows("accounts") if row["id"] == ACCOUNT)
        self._functions.commit(
            insert("entries", {"id": note, "account_id": ACCOUNT, "note": note}),
            update("accounts", {**account, "balance": account["balance"] + 1}),
            reads=[read("accounts", ACCOUNT, account)],
        )
        return True


class SupabaseLedger(BufferedLedger):
    """A ledger in a project that has the tables and no rows; it is looked at on a connection to the database."""

    def __init__(self, project: SupabaseApi) -> None:
        def make(**config: Any) -> DatabaseAdapter:
            known = {"url": project.url, "key": project.service_key, "timeout": TIMEOUT}
            return SupabaseAdapter({**known, **config}, SCHEMA)

        super().__init__(make, Wire(project.port, _redirected, b"rpc/isthmus_commit"))
        self._outside = SqlLedger(make, outside_postgresql(project.database))

    def rows(self, table: str) -> list[Row]:
        return self._outside.rows(table)

    def write(self, note: str) -> bool:
        return self._outside.write(note)


def prepare_project(database: PostgresDatabase) -> None:
    """Create the tables and the functions of commits in the database of a Supabase project."""
    create_in(database)
    database.execute(functions.script())


def _redirected(port: int) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{port}"}

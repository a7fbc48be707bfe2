"""A Supabase database and a Convex deployment behind lines that break, and users who work on both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import dataclass
from itertools import count
from typing import Any
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.result import Row
from tests.integration.migrated import migrated_supabase
from tests.integration.sync.support import lost_rows
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresServer

COMMITS: Final = {"supabase": (b"; set local statement_timeout", b"commit\x00"), "convex": (b"", b"isthmus:commit")}
"""What is in the requests that begin and that commit a transaction; single reads of Supabase begin otherwise."""

TIMEOUT: Final = 20.0  # seconds; only a broken adapter needs them

_TRIES: Final = 20
_OURS: Final = {"supabase": ("supabase 1", "supabase 2", "supabase 3"), "convex": ("convex 1", "convex 2", "convex 3")}
_SHARED: Final = ("shared 1", "shared 2", "shared 3")


@dataclass(frozen=True, slots=True)
class Real:
    """The two databases.

    :ivar adapters: by side; they do not go through the lines.
    :ivar lines: by side; the way that sync takes.
    :ivar config: by side, of adapters that go through the lines.
    """

    adapters: dict[str, DatabaseAdapter]
    lines: dict[str, FaultProxy]
    config: dict[str, dict[str, Any]]

    @contextmanager
    def connected(self, **options: object) -> Iterator[tuple[DatabaseAdapter, DatabaseAdapter]]:
        """Adapters of both that go through the lines."""
        with ExitStack() as connections:
            supabase = SupabaseDirectAdapter({**self.config["supabase"], **options})
            connections.callback(supabase.disconnect)
            convex = ConvexAdapter({**self.config["convex"], **options})
            connections.callback(convex.disconnect)
            yield supabase, convex

    def everything(self) -> dict[str, list[Row]]:
        """All rows of all tables on both sides, those of sync's own, too."""
        return {
            f"{side} {table.name}": adapter.table(table.name).select().execute().rows
            for side, adapter in self.adapters.items()
            for table in adapter.schema
        }


@contextmanager
def real_databases(
    server: PostgresServer, deployment: ConvexDeployment, proxy: Callable[[int], FaultProxy]
) -> Iterator[Real]:
    """The two, with the declared tables, empty."""
    database = migrated_supabase(server)
    deployment.reset()
    lines = {"supabase": proxy(database.port), "convex": proxy(deployment.port)}
    config = {
        "supabase": {**asdict(database), "port": lines["supabase"].port, "timeout": TIMEOUT},
        "convex": {
            "url": f"http://127.0.0.1:{lines['convex'].port}",
            "key": deployment.deploy_key,
            "timeout": TIMEOUT,
        },
    }
    with ExitStack() as parts:
        parts.callback(deployment.reset)
        supabase = SupabaseDirectAdapter({**config["supabase"], "port": database.port})
        parts.callback(supabase.disconnect)
        convex = ConvexAdapter({**config["convex"], "url": deployment.url})
        parts.callback(convex.disconnect)
        yield Real({"supabase": supabase, "convex": convex}, lines, config)


class Users:
    """They change, insert and delete records on both sides: some on one side only, and some on both.

    Nobody writes over what he has not seen. Every version has a name of its own, and is known with the versions that
    it was made from.
    """

    def __init__(self, adapters: dict[str, DatabaseAdapter]) -> None:
        self._adapters = adapters
        self._names = (f"v{number}" for number in count())
        self._turns = count()
        self._ancestors: dict[str, set[str]] = {}
        self._last: defaultdict[str, str | None] = defaultdict()

    def work(self) -> None:
        """On each side a record that is worked on there only, and one that is worked on everywhere."""
        turn = next(self._turns)
        for side, records in _OURS.items():
            self._change(side, records[turn % len(records)], deletes=turn % 5 == 4)
            self._change(side, _SHARED[turn % len(_SHARED)], deletes=False)

    def assert_nothing_is_lost(self) -> None:
        """What was written on one side is there, and of what was written on both nothing is gone without a trace."""
        journalled = [*lost_rows(*self._adapters.values())]
        assert {row["id"] for row in journalled} == set(_SHARED)
        rows = {row["id"]: row["name"] for row in self._adapters["supabase"].table("molecules").select().execute()}
        for records in _OURS.values():
            assert {record: rows.get(record) for record in records} == {
                record: self._last[record] for record in records
            }
        kept = {name for record, name in rows.items() if record in _SHARED} | {row["name"] for row in journalled}
        assert self._ancestors.keys() <= set().union(*(self._ancestors[name] for name in kept))

    def _change(self, side: str, record: str, *, deletes: bool) -> None:
        for _ in range(_TRIES):
            try:
                return self._try_to_change(self._adapters[side], record, next(self._names), deletes=deletes)
            except (Conflict, ConstraintViolated):
                continue  # the record was synced meanwhile: look again
        raise AssertionError("the record keeps changing")

    def _try_to_change(self, adapter: DatabaseAdapter, record: str, name: str, *, deletes: bool) -> None:
        seen = adapter.get("molecules", record)
        if seen is None:
            adapter.run(Insert("molecules", [{"id": record, "name": name}]))
        elif deletes:
            adapter.run(Delete("molecules", id=record, expected_version=seen["version"]))
        else:
            adapter.run(Update("molecules", {"name": name}, id=record, expected_version=seen["version"]))
        self._last[record] = None if seen is not None and deletes else name
        if record in _SHARED:
            self._ancestors[name] = {name} | (set() if seen is None else self._ancestors[seen["name"]])

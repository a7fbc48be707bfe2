"""Supabase over HTTP: Isthmus compared with the official client, on which it is built, on a separate project.

The first contender is the official client with the requests of Isthmus; the second is the official client as in its
documentation, whose insert is neither exactly once nor part of a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from supabase import Client
from supabase import create_client

from benchmarks.contenders import molecules
from benchmarks.contenders.molecules import COLUMNS
from benchmarks.contenders.molecules import GET
from benchmarks.contenders.molecules import INSERT
from benchmarks.contenders.molecules import MOMENT
from benchmarks.contenders.molecules import ROWS
from benchmarks.contenders.molecules import TABLE
from benchmarks.contenders.molecules import Contender
from benchmarks.contenders.molecules import Record
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import SupabaseAdapter
from database.core.tables.schema import new_id
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi
from tests.servers.supabase_api import prepare

_BASELINE = "supabase, the same requests"
_WHERE = "Supabase over HTTP"
_SAME = "the `supabase` client, the same request"

LINES = tuple(
    Line(f"{_WHERE}, {label}", f"{_WHERE}: {thing}", "Isthmus", _SAME, shows_figure=False)
    for thing, label in ((GET, "one record"), (ROWS, ROWS), (INSERT, "an insert"))
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each task."""
    with _project() as project, ExitStack() as resources:
        adapter = SupabaseAdapter({"url": project.url, "key": project.service_key})
        resources.callback(adapter.disconnect)
        client = create_client(project.url, project.service_key)
        resources.callback(client.postgrest.aclose)
        contenders = {
            _BASELINE: _SameRequests(client),
            "Isthmus": molecules.Isthmus(adapter),
            "supabase, as documented": _Documented(client),
        }
        keys = molecules.fill(adapter)
        yield from molecules.measure(_WHERE, contenders, keys, baseline=_BASELINE, plan=plan)


@contextmanager
def _project() -> Iterator[SupabaseApi]:
    """A project with the application's tables; commits are flushed to disk."""
    with PostgresServer(durable=True) as server, server.database() as database:
        prepare(database)
        with SupabaseApi(database) as project:
            yield project


class _Documented(Contender):
    """Reads and inserts as in the official documentation."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, key: str) -> Any:
        return self._client.table(TABLE).select("*").eq("id", key).limit(1).execute().data[0]

    def page(self, size: int) -> Sequence[Any]:
        return self._client.table(TABLE).select("*").order("id").limit(size).execute().data

    def insert(self, record: Record) -> object:
        return self._client.table(TABLE).insert(_row(record)).execute()


class _SameRequests(Contender):
    """The requests of Isthmus: named columns with JSON as text, ordered rows, an insert as a commit."""

    _columns = tuple(f"{name}::text" if name == "properties" else name for name in COLUMNS)

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, key: str) -> Any:
        found = self._client.table(TABLE).select(*self._columns).or_(f'id.eq."{key}"')
        return found.order("id", nullsfirst=False).limit(1).execute().data[0]

    def page(self, size: int) -> Sequence[Any]:
        return self._client.table(TABLE).select(*self._columns).order("id", nullsfirst=False).limit(size).execute().data

    def insert(self, record: Record) -> object:
        commit = {
            "key": new_id(),
            "fingerprint": token_hex(32),
            "actor": None,
            "reads": [],
            "ranges": [],
            "steps": [{"kind": "insert", "table": TABLE, "id": record["id"], "row": _row(record)}],
        }
        return self._client.rpc("isthmus_commit", {"request": json.dumps(commit)}).execute()


def _row(record: Record) -> Record:
    return {**record, "created_at": MOMENT, "updated_at": MOMENT, "version": 1}

"""Convex: Isthmus compared with plain pooled HTTP and the official HTTP client, on a development deployment.

The deployment keeps everything in memory and has little work, so the ratios show the cost of the clients. The official
client opens a connection for every request.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from secrets import token_hex
from typing import Any

from convex import ConvexInt64
from convex.http_client import ConvexHttpClient

from benchmarks.contenders import molecules
from benchmarks.contenders.convex_http import FUNCTION
from benchmarks.contenders.convex_http import PooledHttp
from benchmarks.contenders.molecules import GET
from benchmarks.contenders.molecules import INSERT
from benchmarks.contenders.molecules import MOMENT
from benchmarks.contenders.molecules import ROWS
from benchmarks.contenders.molecules import TABLE
from benchmarks.contenders.molecules import Contender
from benchmarks.contenders.molecules import Record
from benchmarks.contenders.molecules import new_records
from benchmarks.harness import compare_by_turns
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import ConvexAdapter
from database import Insert
from database.core.tables.schema import new_id
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import laboratory_functions

_WHERE = "Convex"
_CALL = "function call"
_BASELINE = "urllib3"
_TARGET = 1.15
_CALLS = 30
_WRITES = 10
_TRANSACTION = f"{_WRITES} inserts in one transaction"
_TRANSACTIONS = 5

Send = Callable[[str, Any], Any]
"""Calls a function by its path and arguments."""


def _line(label: str, thing: str) -> Line:
    title, against = f"{_WHERE}: {thing}", f"{_BASELINE}, the same request"
    return Line(f"{_WHERE}, {label}", title, "Isthmus", against, _TARGET, shows_figure=False)


LINES = (
    _line("a function call", _CALL),
    _line("one record", GET),
    _line(ROWS, ROWS),
    _line("an insert", INSERT),
    _line(f"{_WRITES} inserts in one transaction (1 request)", _TRANSACTION),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each task, after checking that a transaction takes one round trip."""
    with laboratory_functions() as functions, ConvexDeployment(functions) as deployment, ExitStack() as resources:
        adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
        resources.callback(adapter.disconnect)
        plain = PooledHttp(deployment.url, deployment.deploy_key)
        resources.callback(plain.close)
        official = ConvexHttpClient(deployment.url)
        official.set_admin_auth(deployment.deploy_key)
        contenders: dict[str, _ConvexContender] = {
            _BASELINE: _Requests(plain.query, plain.mutation),
            "Isthmus": _Isthmus(adapter),
            "ConvexHttpClient": _OneByOne(official.query, official.mutation),
        }
        keys = molecules.fill(adapter)
        _require_one_round_trip(deployment, contenders["Isthmus"])
        yield from _measure(deployment, contenders, keys, plan)


class _ConvexContender(Contender):
    """The additional tasks on Convex."""

    @abstractmethod
    def call(self, key: str) -> Any:
        """Call the function that returns the record with this id."""

    @abstractmethod
    def transaction(self, records: Sequence[Record]) -> None:
        """Add records atomically."""


class _Isthmus(molecules.Isthmus, _ConvexContender):
    """Separate calls, combined by the transaction."""

    def call(self, key: str) -> Any:
        return self._adapter.call(FUNCTION, {"id": key})

    def transaction(self, records: Sequence[Record]) -> None:
        with self._adapter.transaction():
            for record in records:
                self._adapter.run(Insert(TABLE, [record]))


class _Requests(_ConvexContender):
    """The requests of Isthmus, written by hand; only its function calls also carry the caller's identity."""

    def __init__(self, query: Send, mutation: Send) -> None:
        self._query = query
        self._mutation = mutation

    def call(self, key: str) -> Any:
        return self._query(FUNCTION, {"id": key})

    def get(self, key: str) -> Any:
        return self._query("isthmus:get", {"table": TABLE, "id": key})

    def page(self, size: int) -> Sequence[Any]:
        order = [{"column": "id", "descending": False, "nulls_first": False}]
        query = {"table": TABLE, "where": None, "order": order, "limit": size}
        rows: list[Any] = self._query("isthmus:select", {**query, "count": False, "group": None, "after": None})["rows"]
        return rows

    def insert(self, record: Record) -> None:
        self.transaction([record])

    def transaction(self, records: Sequence[Record]) -> None:
        self._mutation("isthmus:commit", _commit(records))


class _OneByOne(_Requests):
    """The same with a request for every record, so without a transaction."""

    def transaction(self, records: Sequence[Record]) -> None:
        for record in records:
            self._mutation("isthmus:commit", _commit([record]))


def _commit(records: Sequence[Record]) -> dict[str, Any]:
    return {
        "key": new_id(),
        "fingerprint": token_hex(32),
        "actor": None,
        "reads": [],
        "ranges": [],
        "steps": [{"kind": "insert", "table": TABLE, "id": record["id"], "row": _row(record)} for record in records],
        "calls": [],
    }


def _row(record: Record) -> Record:
    return {**record, "created_at": MOMENT, "updated_at": MOMENT, "version": ConvexInt64(1)}


def _measure(
    deployment: ConvexDeployment, contenders: Mapping[str, _ConvexContender], keys: Sequence[str], plan: Plan
) -> Iterator[Table]:
    calls = {name: one.call for name, one in contenders.items()}
    yield compare_by_turns(f"{_WHERE}: {_CALL}", calls, lambda: keys[: plan.of(_CALLS)], baseline=_BASELINE, plan=plan)
    # The development deployment becomes slower with more documents.
    yield from molecules.measure(
        _WHERE, contenders, keys, baseline=_BASELINE, plan=plan, before_inserts=deployment.reset
    )

    def batches() -> Sequence[Sequence[Record]]:
        deployment.reset()
        return [new_records(_WRITES) for _ in range(plan.of(_TRANSACTIONS))]

    transactions = {name: one.transaction for name, one in contenders.items()}
    note = f"ConvexHttpClient takes {_WRITES} transactions."
    title = f"{_WHERE}: {_TRANSACTION}"
    yield compare_by_turns(title, transactions, batches, baseline=_BASELINE, plan=plan, note=note)


def _require_one_round_trip(deployment: ConvexDeployment, contender: _ConvexContender) -> None:
    before = _requests(deployment)
    contender.transaction(new_records(_WRITES))
    assert _requests(deployment) == before + 1


def _requests(deployment: ConvexDeployment) -> int:
    return sum(deployment.requests().routes.values())

"""Convex: Isthmus beside plain pooled HTTP and the official HTTP client, to a deployment for development.

The targets are for the ratio to plain HTTP. The deployment keeps everything in memory and has little to do, so the
ratios are about the clients. The official client makes a connection for every request.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from secrets import token_hex
from typing import Any
from typing import TypeVar

import orjson
import urllib3
from convex import ConvexInt64
from convex import convex_to_json
from convex import json_to_convex
from convex.http_client import ConvexHttpClient

from benchmarks import molecules
from benchmarks.harness import compare_by_turns
from benchmarks.harness import print_table
from benchmarks.molecules import INSERTS
from benchmarks.molecules import MOMENT
from benchmarks.molecules import TABLE
from benchmarks.molecules import Contender
from benchmarks.molecules import Record
from benchmarks.molecules import new_records
from database.adapters.convex import ConvexAdapter
from database.core.operations import Insert
from database.core.schema import new_id
from tests.servers.convex_deployment import ConvexDeployment

FUNCTION = f"{TABLE}:get"
"""Returns the record with an id."""

_BASELINE = "urllib3"
_TARGET = 1.15
_CALLS = 30
_WRITES = 10
_TRANSACTIONS = 5
_MOST_ROUND_TRIPS = 2

Item = TypeVar("Item")

Send = Callable[[str, Any], Any]
"""Calls a function by its path and arguments."""


def run(rounds: int) -> None:
    """Print a table for each thing that is done, and how many round trips a transaction takes."""
    with ConvexDeployment() as deployment, ExitStack() as resources:
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
        _measure(deployment, contenders, molecules.fill(adapter), rounds)
        _count_round_trips(deployment, contenders["Isthmus"])


class PooledHttp:
    """Functions called over connections that stay open, with the official package's values and nothing else.

    :param key: the deploy key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=16, retries=False)
        self._headers = {
            "Content-Type": "application/json",
            "Convex-Client": "python-0.8.1",
            "Authorization": f"Convex {key}",
        }

    def query(self, path: str, arguments: Any) -> Any:
        """What a query returns."""
        return self._call("query", path, arguments)

    def mutation(self, path: str, arguments: Any) -> Any:
        """What a mutation returns."""
        return self._call("mutation", path, arguments)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _call(self, route: str, path: str, arguments: Any) -> Any:
        body = orjson.dumps({"path": path, "args": convex_to_json(arguments), "format": "convex_encoded_json"})
        response = self._pool.request("POST", f"{self._url}/api/{route}", body=body, headers=self._headers)
        return json_to_convex(orjson.loads(response.data)["value"])


class _ConvexContender(Contender):
    """What is done on Convex besides."""

    @abstractmethod
    def call(self, key: str) -> Any:
        """What the function returns that looks for the record with this id."""

    @abstractmethod
    def transaction(self, records: Sequence[Record]) -> None:
        """Add records, all or none."""


class _Isthmus(molecules.Isthmus, _ConvexContender):
    """One call after the other, which the transaction joins."""

    def call(self, key: str) -> Any:
        return self._adapter.call(FUNCTION, {"id": key})

    def transaction(self, records: Sequence[Record]) -> None:
        with self._adapter.transaction():
            for record in records:
                self._adapter.run(Insert(TABLE, [record]))


class _Requests(_ConvexContender):
    """The requests that Isthmus sends, written down; only its function calls say as well who asks."""

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
    """The same, with a request for every record of a transaction, which is none then."""

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
    deployment: ConvexDeployment, contenders: Mapping[str, _ConvexContender], keys: Sequence[str], rounds: int
) -> None:
    def emptied(items: list[Item]) -> list[Item]:
        # The deployment for development takes longer, the more documents it has.
        deployment.reset()
        return items

    def print_measured(
        title: str, functions: Mapping[str, Callable[[Item], object]], items: Callable[[], Sequence[Item]]
    ) -> None:
        rows = compare_by_turns(functions, items, baseline=_BASELINE, rounds=rounds)
        print_table(f"{where}: {title}", rows, _BASELINE)

    where = f"Convex, target {_TARGET}"
    print_measured("function call", {name: one.call for name, one in contenders.items()}, lambda: keys[:_CALLS])
    molecules.measure(
        where, contenders, keys, baseline=_BASELINE, rounds=rounds, inserts=lambda: emptied(new_records(INSERTS))
    )
    print_measured(
        f"{_WRITES} inserts in one transaction (ConvexHttpClient: in {_WRITES})",
        {name: one.transaction for name, one in contenders.items()},
        lambda: emptied([new_records(_WRITES) for _ in range(_TRANSACTIONS)]),
    )


def _count_round_trips(deployment: ConvexDeployment, contender: _ConvexContender) -> None:
    before = _requests(deployment)
    contender.transaction(new_records(_WRITES))
    trips = _requests(deployment) - before
    print(f"\nRound trips of {_WRITES} inserts in one transaction: {trips}, target {_MOST_ROUND_TRIPS}.")
    assert 0 < trips <= _MOST_ROUND_TRIPS


def _requests(deployment: ConvexDeployment) -> int:
    return sum(deployment.requests().routes.values())

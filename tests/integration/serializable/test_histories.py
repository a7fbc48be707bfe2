"""Random transactions of eight clients at once leave a history without an anomaly, on every backend at its defaults.

``SERIALIZABLE_TRANSACTIONS`` is their number for each client.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from random import Random
from typing import Any

from flask import Flask
from flask import request

from database.adapter.interface import Database
from database.connection_manager import ConnectionManager
from database.flask_scope import transactional
from tests.contract.tables import thing
from tests.integration.serializable.conftest import CLIENTS
from tests.integration.serializable.conftest import Ask
from tests.integration.serializable.histories import Append
from tests.integration.serializable.histories import Read
from tests.integration.serializable.histories import Transaction
from tests.integration.serializable.histories import anomalies

TRANSACTIONS = int(os.environ.get("SERIALIZABLE_TRANSACTIONS", "0"))
FEW = 3
MANY = 12
"""Where every call is a request over HTTP to a server for development, a few take as long as many elsewhere."""
KEYS = [f"list-{number}" for number in range(5)]


def test_random_histories_have_no_anomaly(app: Flask, manager: ConnectionManager, ask: Ask) -> None:
    serve_lists(app, manager)
    history = [*recorded(ask, TRANSACTIONS or (FEW if manager.adapter.capabilities.calls else MANY)), read_all(ask)]
    assert anomalies(history) == set()
    assert sum(one.committed for one in history) > len(history) / 2


def serve_lists(app: Flask, database: Database) -> None:
    """Give the app views that carry out the steps of a transaction."""

    @app.post("/<int:status>")
    @transactional(attempts=3)
    def change(status: int) -> tuple[list[Any], int]:
        return [carry_out(database, *step) for step in request.get_json()], status

    @app.get("/")
    def look() -> list[Any]:
        return [carry_out(database, key, None) for key in request.args.getlist("key")]


def carry_out(database: Database, key: str, value: int | None) -> list[int]:
    """Append a value to a list, or with None look at it; what is in it then."""
    row = database.get("things", key)
    found: list[int] = [] if row is None else row["data"]
    if value is None:
        return found
    found = [*found, value]
    if row is None:
        database.table("things").insert(thing(key, data=found)).execute()
    else:
        database.table("things").update({"data": found}).eq("id", key).execute()
    return found


def recorded(ask: Ask, transactions: int) -> list[Transaction]:
    """What eight clients did at once, each in this many transactions."""
    values = count(1)

    def client(number: int) -> list[Transaction]:
        random = Random(number)
        return [_transact(ask, f"{number}.{turn}", random, values) for turn in range(transactions)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [one for some in pool.map(client, range(CLIENTS)) for one in some]


def read_all(ask: Ask) -> Transaction:
    """A last look at all lists."""
    return _looked(ask, "last", KEYS)


def _transact(ask: Ask, name: str, random: Random, values: count[int]) -> Transaction:
    keys = random.choices(KEYS, k=random.randint(2, 4))
    if random.random() < 0.3:
        return _looked(ask, name, keys)
    steps = [(key, next(values) if random.random() < 0.5 else None) for key in keys]
    # Some are refused by their view after all is done: nobody may see anything of them.
    answer = ask("POST", f"/{random.choice([200, 200, 200, 422])}", json=steps)
    assert answer.status in {200, 409, 422}, answer.data
    if answer.status != 200:
        return Transaction(name, [Append(key, value) for key, value in steps if value], committed=False)
    return Transaction(name, [_step(*step, found) for step, found in zip(steps, answer.json(), strict=True)])


def _looked(ask: Ask, name: str, keys: list[str]) -> Transaction:
    answer = ask("GET", "/", fields=[("key", key) for key in keys])
    assert answer.status == 200, answer.data
    return Transaction(name, [_step(key, None, found) for key, found in zip(keys, answer.json(), strict=True)])


def _step(key: str, value: int | None, found: list[int]) -> Append | Read:
    return Read(key, tuple(found)) if value is None else Append(key, value)

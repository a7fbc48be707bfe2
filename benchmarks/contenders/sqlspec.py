"""sqlspec on the table of :mod:`benchmarks.items`; a separate module, because sqlspec may not be installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlspec import SQLSpec
from sqlspec.adapters.psycopg import PsycopgSyncConfig
from sqlspec.adapters.sqlite import SqliteConfig

from benchmarks.items import CHEAPEST
from benchmarks.items import INSERT
from benchmarks.items import MOST_PRICE
from benchmarks.items import PAGE
from benchmarks.items import POINT
from benchmarks.items import UPDATE
from benchmarks.items import Contender
from benchmarks.items import Item


class SqlSpec(Contender):
    """A session per operation, rows as dictionaries.

    :param placeholder: the placeholder of the driver.
    """

    def __init__(self, config: Any, placeholder: str) -> None:
        self._spec = SQLSpec()
        self._config = self._spec.add_config(config)
        texts = (text.replace("?", placeholder) for text in (POINT, CHEAPEST, INSERT, UPDATE))
        self._point, self._cheapest, self._insert, self._update = texts

    def point(self, key: str) -> object:
        with self._spec.provide_session(self._config) as session:
            return session.select_one(self._point, (key,))

    def page(self, category: str) -> list[Any]:
        with self._spec.provide_session(self._config) as session:
            rows: list[Any] = session.select(self._cheapest, (category, MOST_PRICE, PAGE))
            return rows

    def insert(self, item: Item) -> None:
        with self._spec.provide_session(self._config) as session:
            session.execute(self._insert, tuple(item.values()))
            session.commit()

    def batch(self, batch: list[Item]) -> None:
        with self._spec.provide_session(self._config) as session:
            session.begin()
            session.execute_many(self._insert, [tuple(item.values()) for item in batch])
            session.commit()

    def count_up(self, key: str) -> None:
        with self._spec.provide_session(self._config) as session:
            session.begin()
            item = session.select_one(self._point, (key,))
            session.execute(self._update, (item["quantity"] + 1, key))
            session.commit()

    def close(self) -> None:
        """Close the pool."""
        self._config.close_pool()


def on_sqlite(path: str, pragmas: Mapping[str, Any]) -> SqlSpec:
    """A contender on the SQLite file at ``path``."""
    return SqlSpec(SqliteConfig(connection_config={"database": path}, driver_features={"pragmas": pragmas}), "?")


def on_postgres(dsn: str) -> SqlSpec:
    """A contender on the PostgreSQL database of ``dsn``."""
    return SqlSpec(PsycopgSyncConfig(connection_config={"conninfo": dsn}), "%s")

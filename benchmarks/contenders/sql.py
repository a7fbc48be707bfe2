"""Isthmus and other libraries on the table of :mod:`benchmarks.items`, for any SQL database.

Isthmus is measured through the public interface of its adapters, which validates and returns dictionaries. The other
libraries are used as in their documentation, and return dictionaries, too.
"""

from __future__ import annotations

from typing import Any

import peewee
import sqlalchemy as sa

from benchmarks.items import MOST_PRICE
from benchmarks.items import PAGE
from benchmarks.items import Contender
from benchmarks.items import Item
from benchmarks.items import items
from database import And
from database import DatabaseAdapter
from database import Insert
from database import Order
from database import Select
from database import Update
from database import Where

_TABLE = items.name
_CHEAP = Where("price", "lt", MOST_PRICE)
_BY_PRICE = (Order("price"),)


class Isthmus(Contender):
    """Operations passed to the adapter."""

    def __init__(self, adapter: DatabaseAdapter) -> None:
        self._adapter = adapter

    def point(self, key: str) -> object:
        return self._adapter.get(_TABLE, key)

    def page(self, category: str) -> list[Item]:
        where = And((Where("category", "eq", category), _CHEAP))
        return self._adapter.run(Select(_TABLE, where=where, order=_BY_PRICE, limit=PAGE)).rows

    def insert(self, item: Item) -> object:
        return self._adapter.run(Insert(_TABLE, [item]))

    def batch(self, batch: list[Item]) -> object:
        return self._adapter.run(Insert(_TABLE, batch))

    def count_up(self, key: str) -> None:
        with self._adapter.transaction():
            item = self._adapter.get(_TABLE, key) or {}
            self._adapter.run(Update(_TABLE, {"quantity": item["quantity"] + 1}, id=key, returning=False))

    def nothing(self) -> None:
        """An empty transaction."""
        with self._adapter.transaction():
            pass


class IsthmusBuilder(Contender):
    """Queries written with the builder."""

    def __init__(self, adapter: DatabaseAdapter) -> None:
        self._adapter = adapter

    def point(self, key: str) -> object:
        return self._adapter.table(_TABLE).select().eq("id", key).execute().first

    def page(self, category: str) -> list[Item]:
        query = self._adapter.table(_TABLE).select().eq("category", category).lt("price", MOST_PRICE)
        return query.order("price").limit(PAGE).execute().rows

    def insert(self, item: Item) -> object:
        return self._adapter.table(_TABLE).insert(item).execute()

    def batch(self, batch: list[Item]) -> object:
        return self._adapter.table(_TABLE).insert(batch).execute()

    def count_up(self, key: str) -> None:
        with self._adapter.transaction():
            item = self._adapter.table(_TABLE).select().eq("id", key).execute().first or {}
            changed = {"quantity": item["quantity"] + 1}
            self._adapter.table(_TABLE).update(changed, returning=False).eq("id", key).execute()


class SqlAlchemyCore(Contender):
    """A connection from the engine's pool per operation, rows as mappings."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def point(self, key: str) -> object:
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(items).where(items.c.id == key)).mappings().one()
            return dict(row)

    def page(self, category: str) -> list[Item]:
        wanted = sa.select(items).where(items.c.category == category, items.c.price < MOST_PRICE)
        with self._engine.connect() as connection:
            rows = connection.execute(wanted.order_by(items.c.price, items.c.id).limit(PAGE)).mappings()
            return [dict(row) for row in rows]

    def insert(self, item: Item) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.insert(items), item)

    def batch(self, batch: list[Item]) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.insert(items), batch)

    def count_up(self, key: str) -> None:
        with self._engine.begin() as connection:
            item = connection.execute(sa.select(items).where(items.c.id == key)).mappings().one()
            connection.execute(sa.update(items).where(items.c.id == key).values(quantity=item["quantity"] + 1))


class Peewee(Contender):
    """A model on a persistent connection, rows as dictionaries."""

    def __init__(self, database: Any) -> None:
        class Row(peewee.Model):
            id = peewee.TextField(primary_key=True)
            name = peewee.TextField()
            category = peewee.TextField()
            price = peewee.DoubleField()
            quantity = peewee.BigIntegerField()
            added = peewee.TextField()
            notes = peewee.TextField()

            class Meta:
                table_name = items.name

        Row.bind(database)
        self._database = database
        self._row: Any = Row

    def point(self, key: str) -> object:
        return self._row.select().where(self._row.id == key).dicts().get()

    def page(self, category: str) -> list[Any]:
        row = self._row
        wanted = row.select().where((row.category == category) & (row.price < MOST_PRICE))
        return list(wanted.order_by(row.price, row.id).limit(PAGE).dicts())

    def insert(self, item: Item) -> None:
        self._row.insert(item).execute()

    def batch(self, batch: list[Item]) -> None:
        with self._database.atomic():
            self._row.insert_many(batch).execute()

    def count_up(self, key: str) -> None:
        with self._database.atomic():
            item = self._row.select().where(self._row.id == key).dicts().get()
            self._row.update(quantity=item["quantity"] + 1).where(self._row.id == key).execute()

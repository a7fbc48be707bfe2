"""Enumeration types of PostgreSQL in another schema than the table."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import sqlalchemy as sa

from database.backends.postgres import PostgresAdapter
from database.core.errors import InvalidRow
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.tables.schema import Schema
from tests.servers.postgres import PostgresDatabase

metadata = sa.MetaData()
states = sa.Enum("to do", "it's", "Done", name="State", schema="App")
sa.Table(
    "tasks",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("state", states, server_default="to do"),
    sa.Column("former", sa.ARRAY(states)),
    sa.Column("code", sa.Text, unique=True),
)


def test_an_enumeration_of_another_schema(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute('create schema "App"')
    postgres_database.create(metadata)
    adapter = PostgresAdapter(asdict(postgres_database), Schema.of(metadata))
    try:
        made = adapter.run(Insert("tasks", [{"state": "it's", "former": ["to do", "Done"]}, {"code": "b"}])).rows
        assert made == [
            {"id": 1, "state": "it's", "former": ["to do", "Done"], "code": None},
            {"id": 2, "state": "to do", "former": None, "code": "b"},
        ]
        many = [{"state": "Done", "former": []} for _ in range(30)]
        adapter.run(Insert("tasks", many, returning=False))
        adapter.run(Upsert("tasks", [{"code": "b", "state": "Done"}], on_conflict=("code",)))
        adapter.run(Update("tasks", {"former": ["it's"]}, 2))
        assert adapter.get("tasks", "2") == {"id": 2, "state": "Done", "former": ["it's"], "code": "b"}
        found = adapter.run(Select("tasks", ("id",), Where("state", "gt", "Done"), (Order("state"),))).ids
        assert found == ["1"]
        assert adapter.run(Select("tasks", ("id",), Where("state", "in", ["it's", "nope"]))).ids == ["1"]
        assert adapter.run(Select("tasks", ("id",), Where("former", "eq", ["to do", "Done"]))).ids == ["1"]
        assert adapter.run(Select("tasks", group=("state",), order=(Order("state"),))).rows == [
            {"state": "Done", "count": 31},
            {"state": "it's", "count": 1},
        ]
        with pytest.raises(InvalidRow):
            adapter.run(Insert("tasks", [{"state": "nope"}]))
        assert adapter.execute_query("select state from tasks where id = ?", [1]) == [{"state": "it's"}]
    finally:
        adapter.disconnect()

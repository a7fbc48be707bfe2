"""What an upsert locks: not the columns by which it has found the row, to which other rows refer."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa

from database.core.context import NO_CONTEXT
from database.core.operations import Upsert
from database.core.tables.schema import Schema
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase

metadata = sa.MetaData()
sa.Table(
    "rooms",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("building", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("name", sa.Text),
    sa.UniqueConstraint("building", "number"),
)
sa.Table(
    "bookings",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("building", sa.Text),
    sa.Column("number", sa.Integer),
    sa.ForeignKeyConstraint(["building", "number"], ["rooms.building", "rooms.number"]),
)

ROOM = {"id": "a", "building": "north", "number": 1, "name": "first"}


def test_others_refer_to_a_row_that_an_open_transaction_has_upserted(
    make: Make, postgres_database: PostgresDatabase
) -> None:
    postgres_database.create(metadata)
    adapter = make(postgres_database, schema=Schema.of(metadata))
    adapter.run(Upsert("rooms", [ROOM]))
    transaction = adapter.begin_transaction()
    transaction.execute(Upsert("rooms", [{**ROOM, "name": "second"}], on_conflict=("building", "number")), NO_CONTEXT)
    with psycopg.connect(postgres_database.dsn) as other:
        other.execute("set lock_timeout = '3s'")
        other.execute("insert into bookings values ('one', 'north', 1)")
    transaction.commit()
    assert adapter.get("rooms", "a") == {**ROOM, "name": "second"}


def test_an_upsert_of_nothing_but_what_it_finds_the_row_by(make: Make, postgres_database: PostgresDatabase) -> None:
    postgres_database.create(metadata)
    adapter = make(postgres_database, schema=Schema.of(metadata))
    adapter.run(Upsert("rooms", [ROOM]))
    given = {"id": "other", "building": "north", "number": 1}
    found = adapter.run(Upsert("rooms", [given], on_conflict=("building", "number")))
    assert (found.count, found.rows) == (1, [ROOM])

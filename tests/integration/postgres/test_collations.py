"""Text compares by code point also where the database would do otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa

from database.backends.postgres import PostgresAdapter
from database.core.operations import Insert
from database.core.tables.schema import Schema
from tests.servers.postgres import PostgresServer

LOCALE = "create database other_locale template template0 locale_provider builtin builtin_locale 'C.UTF-8'"
WORDS = ["", "B", "Zebra", "a", "b-c", "bc", "Éa", "éa", "水", "😀"]

metadata = sa.MetaData()
words = sa.Table("words", metadata, sa.Column("id", sa.String, primary_key=True), sa.Column("word", sa.String))


@pytest.fixture(scope="module")
def adapter(postgres_server: PostgresServer) -> Iterator[PostgresAdapter]:
    """An adapter of a database that folds all letters of Unicode, and whose columns declare no collation."""
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        connection.execute(LOCALE)
    database = replace(postgres_server.maintenance, database="other_locale")
    database.create(metadata)
    adapter = PostgresAdapter(asdict(database), Schema.of(metadata))
    adapter.run(Insert("words", [{"id": word or "empty", "word": word} for word in reversed(WORDS)]))
    yield adapter
    adapter.disconnect()


def test_order(adapter: PostgresAdapter) -> None:
    assert [row["word"] for row in adapter.table("words").order("word").execute()] == WORDS
    assert [row["word"] for row in adapter.table("words").order("word", "desc").execute()] == WORDS[::-1]
    ids = [row["id"] for row in adapter.table("words").execute()]
    assert ids == sorted(ids)


def test_comparisons(adapter: PostgresAdapter) -> None:
    for place, word in enumerate(WORDS):
        found = adapter.table("words").gt("word", word).order("word").execute()
        assert [row["word"] for row in found] == WORDS[place + 1 :]
        found = adapter.table("words").lte("word", word).order("word").execute()
        assert [row["word"] for row in found] == WORDS[: place + 1]


def test_only_a_to_z_are_folded(adapter: PostgresAdapter) -> None:
    assert [row["word"] for row in adapter.table("words").ilike("word", "éA").execute()] == ["éa"]
    assert [row["word"] for row in adapter.table("words").ilike("word", "zEBRA").execute()] == ["Zebra"]
    assert [row["word"] for row in adapter.table("words").like("word", "zEBRA").execute()] == []

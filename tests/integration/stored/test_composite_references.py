"""Foreign keys of several columns: the same in memory as in SQL databases, and refused for Convex."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.tables.schema import Schema
from database.schema.convex_schema import files
from tests.servers.postgres import PostgresServer

metadata = sa.MetaData()
sa.Table(
    "courses",
    metadata,
    sa.Column("term", sa.Text, primary_key=True),
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=False),
)


def _child(name: str, action: str | None) -> sa.Table:
    """A table whose records refer to a course, in another order of the columns than that of its key."""
    return sa.Table(
        name,
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("no", sa.Integer),
        sa.Column("term", sa.Text),
        sa.ForeignKeyConstraint(["no", "term"], ["courses.no", "courses.term"], ondelete=action),
    )


_child("lessons", "CASCADE")
_child("rooms", "SET NULL")
_child("bills", None)
SCHEMA = Schema.of(metadata)
COURSES = [{"term": "a", "no": 1}, {"term": "a", "no": 2}, {"term": "b", "no": 1}]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def adapter(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> Iterator[DatabaseAdapter]:
    """A backend with three courses."""
    made: DatabaseAdapter = MemoryAdapter({}, SCHEMA)
    if request.param == "sqlite":
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'courses.db'}", poolclass=sa.NullPool)
        metadata.create_all(engine)
        engine.dispose()
        made = SQLiteAdapter({"path": str(tmp_path / "courses.db")}, SCHEMA)
    elif request.param == "postgresql":
        database = postgres_server.create_database()
        database.create(metadata)
        made = PostgresAdapter(asdict(database), SCHEMA)
    made.run(Insert("courses", COURSES))
    yield made
    made.disconnect()


@pytest.mark.parametrize("table", ["lessons", "rooms", "bills"])
def test_a_reference_needs_all_of_its_values_in_one_record(adapter: DatabaseAdapter, table: str) -> None:
    adapter.run(Insert(table, [{"id": "whole", "term": "b", "no": 1}, {"id": "half", "no": 9}, {"id": "none"}]))
    for wrong in ({"term": "b", "no": 2}, {"term": "c", "no": 1}):
        with pytest.raises(ConstraintViolated) as refused:
            adapter.run(Insert(table, [{"id": "wrong", **wrong}]))
        assert refused.value.kind is ConstraintKind.FOREIGN_KEY
        with pytest.raises(ConstraintViolated):
            adapter.run(Update(table, wrong, "none"))
    assert adapter.run(Update(table, {"term": "a"}, "whole")).count == 1
    assert adapter.table(table).select("id").execute().ids == ["half", "none", "whole"]


def test_a_deletion_takes_along_what_refers_with_all_values(adapter: DatabaseAdapter) -> None:
    for table in ("lessons", "rooms"):
        rows = [{"id": f"{row['term']}{row['no']}", **row} for row in COURSES]
        adapter.run(Insert(table, [*rows, {"id": "half", "term": "a"}]))
    adapter.run(Delete("courses", ("a", 1)))
    assert adapter.table("lessons").select("id").execute().ids == ["a2", "b1", "half"]
    assert adapter.get("rooms", "a1") == {"id": "a1", "no": None, "term": None}
    assert adapter.get("rooms", "a2") == {"id": "a2", "no": 2, "term": "a"}


def test_a_record_that_is_referred_to_stays(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("bills", [{"id": "x", "term": "a", "no": 1}]))
    with pytest.raises(ConstraintViolated) as refused:
        adapter.run(Delete("courses", ("a", 1)))
    assert refused.value.kind is ConstraintKind.FOREIGN_KEY
    assert adapter.run(Delete("courses", ("a", 2))).count == 1


def test_convex_has_none() -> None:
    with pytest.raises(ValueError, match=r"bills\.no,term refers to courses\.no,term; on Convex .* of one column"):
        files(SCHEMA)

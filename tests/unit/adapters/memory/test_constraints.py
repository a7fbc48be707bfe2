"""Constraints in memory: kept as in SQL, or named when it is connected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from database.backends.memory import MemoryAdapter
from database.columns import record_columns
from database.columns import text
from database.core.errors import ConstraintViolated
from database.core.operations import Insert
from database.core.operations import Update
from database.core.tables.schema import Schema
from database.schema import convex_schema


def _schema(*items: Any) -> Schema:
    metadata = sa.MetaData()
    sa.Table("users", metadata, *record_columns(), sa.Column("email", text()), sa.Column("gone", sa.Boolean), *items)
    return Schema.of(metadata)


def _memory(*items: Any) -> MemoryAdapter:
    return MemoryAdapter({}, _schema(*items))


@pytest.mark.parametrize("option", ["postgresql_where", "sqlite_where"])
@pytest.mark.parametrize("condition", [sa.text("not gone"), sa.column("gone").is_(False)])
def test_a_partial_unique_index_is_about_its_rows_only(option: str, condition: Any) -> None:
    adapter = _memory(sa.Index("one", "email", unique=True, **{option: condition}))
    adapter.run(Insert("users", [{"id": "a", "email": "e", "gone": True}, {"id": "b", "email": "e", "gone": False}]))
    adapter.run(Insert("users", [{"email": "e", "gone": True}, {"email": "e", "gone": None}]))
    with pytest.raises(ConstraintViolated):
        adapter.run(Insert("users", [{"email": "e", "gone": False}]))
    with pytest.raises(ConstraintViolated):
        adapter.run(Update("users", {"gone": False}, id="a"))


UNKEPT = [
    (lambda: sa.CheckConstraint("length(email) > 3", name="long"), "users: CHECK long"),
    (lambda: sa.Index("lower", sa.func.lower(sa.text("email")), unique=True), "users: unique index lower, which is on"),
    (
        lambda: sa.Index("odd", "email", unique=True, postgresql_where=sa.text("length(email) > 1")),
        "users: unique index odd, which is on some rows only",
    ),
]


@pytest.mark.parametrize(("make", "line"), UNKEPT)
def test_what_memory_does_not_keep_is_said_when_it_is_connected(
    make: Callable[[], Any], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = _memory(make())
    with caplog.at_level(logging.WARNING):
        adapter.run(Insert("users", [{"email": "a"}, {"email": "A"}]))
    assert line in caplog.text


def test_of_what_is_kept_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    adapter = _memory(sa.CheckConstraint("email like '%@%'", name="at"), sa.Index("one", "email", unique=True))
    with caplog.at_level(logging.WARNING):
        adapter.run(Insert("users", [{"email": "a@b"}]))
    assert caplog.text == ""


def test_a_check_that_is_declared_with_its_column_is_kept() -> None:
    adapter = _memory(sa.Column("age", sa.Integer, sa.CheckConstraint("age > 0")))
    with pytest.raises(ConstraintViolated):
        adapter.run(Insert("users", [{"age": 0}]))


def test_convex_schema_says_what_convex_does_not_keep() -> None:
    schema = _schema(
        sa.CheckConstraint("email <> ''", name="named"),
        sa.CheckConstraint("length(email) > 3", name="long"),
        sa.Index("lower", sa.func.lower(sa.text("email")), unique=True),
        sa.Index("some", "email", unique=True, postgresql_where=sa.text("not gone")),
        sa.Column("boss", text(), sa.ForeignKey("users.id", ondelete="CASCADE")),
    )
    assert convex_schema.remarks(schema) == [
        "users: not kept: CHECK long",
        "users: not kept: unique index lower, which is on an expression",
        "users: CHECK named is kept by adapters, not by functions of your own",
        "users: not kept: unique index some, which is on some rows only",
        "users: ON DELETE CASCADE of boss is kept by adapters; for functions of your own it refuses the deletion",
    ]
    assert 'unique: [["id"]],' in convex_schema.files(schema)["tables.ts"]

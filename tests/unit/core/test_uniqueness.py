"""What counts as unique in all rows."""

from __future__ import annotations

import sqlalchemy as sa

from database.core.tables.uniqueness import unique_sets


def test_parts_and_expressions_are_not_unique_in_all_rows() -> None:
    table = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Text, primary_key=True),
        *[sa.Column(name, sa.Text, unique=name == "a") for name in "abcdefg"],
        sa.UniqueConstraint("b", "a"),
        sa.UniqueConstraint("c", deferrable=True),
        sa.Index("whole", "d", unique=True),
        sa.Index("repeated", "e"),
        sa.Index("postgresql_part", "f", unique=True, postgresql_where=sa.text("a is null")),
        sa.Index("sqlite_part", "f", unique=True, sqlite_where=sa.text("a is null")),
    )
    sa.Index("expression", sa.func.lower(table.c.g), unique=True)
    assert set(unique_sets(table)) == {("id",), ("a",), ("b", "a"), ("d",)}

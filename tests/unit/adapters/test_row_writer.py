"""The functions that check and encode one row: they say what ``complete_row`` says, or leave the row to it."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone
from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from database.backends.sqlite.dialect import DIALECT
from database.columns import json
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text
from database.columns import timestamp
from database.core.errors import InvalidRow
from database.core.tables.rows import complete_row
from database.core.tables.schema import TableSchema
from database.core.tables.schema import table_schema
from database.sql.row_writer import row_writer
from database.sql.statements import statement_cache
from database.sql.table import SqlTable

NOW = datetime(2026, 5, 1, 12, 30, 15, 250, tzinfo=UTC)
OTHER_ZONE = timezone(timedelta(hours=2))
VALUES: tuple[Any, ...] = (
    *("", "a", "a" * 8, "a" * 9, "é", "a\0b", "\ud800", b"a", [], {"a": 1}, None, False, True),
    *(0, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 1.0, 0.5, float("nan"), float("inf")),
    *(NOW, NOW.replace(tzinfo=None), NOW.astimezone(OTHER_ZONE), NOW.isoformat()),
)


def made_table() -> SqlTable:
    table = sa.Table(
        "things",
        table_metadata(),
        *record_columns(),
        sa.Column("short", text(8), nullable=False),
        sa.Column("order by", text()),
        sa.Column("count", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("weight", sa.Float),
        sa.Column("done", sa.Boolean, nullable=False, default=False),
        sa.Column("at", timestamp()),
        sa.Column("more", json()),
    )
    return SqlTable(table_schema(table), DIALECT, statement_cache())


TABLE = made_table()
SCHEMA: TableSchema = TABLE.schema
ROWS = st.dictionaries(st.sampled_from([*SCHEMA.columns, "unknown"]), st.sampled_from(VALUES)).map(
    lambda row: {"id": "a", "short": "b", **row}
)


def encoders() -> dict[str, Any]:
    kinds = {name: column.kind for name, column in SCHEMA.columns.items()}
    return {name: found for name, kind in kinds.items() if (found := DIALECT.encoder(kind)) is not None}


def refusal(row: dict[str, Any]) -> str:
    try:
        complete_row(SCHEMA, row)
    except InvalidRow as error:
        return str(error)
    return ""


def check(row: dict[str, Any]) -> None:
    """Compare a row, which may not be valid, with what the checks of its columns say."""
    if refused := refusal(row):
        with pytest.raises(InvalidRow) as caught:
            TABLE.written(row)
        assert str(caught.value) == refused
        return
    completed = complete_row(SCHEMA, row, NOW)
    assert TABLE.written(row)[0] == tuple(completed)
    writer = row_writer(SCHEMA, tuple(row), encoders())
    values = None if writer is None else writer.values(*row.values(), NOW)
    if values is not None:
        assert list(map(repr, values)) == list(map(repr, TABLE.encoded_values(completed)))


@pytest.mark.parametrize("name", [*SCHEMA.columns, "unknown"])
def test_each_value_is_checked_and_encoded_as_elsewhere(name: str) -> None:
    for value in VALUES:
        check({"id": "a", "short": "b", name: value})


@given(ROWS)
def test_values_together_are_checked_and_encoded_as_elsewhere(row: dict[str, Any]) -> None:
    check(row)


@pytest.mark.parametrize("row", [{"id": "a", "short": "b"}, {"short": "b", "at": NOW, "order by": None, "id": "a"}])
def test_most_rows_need_no_other_look(row: dict[str, Any]) -> None:
    writer = row_writer(SCHEMA, tuple(row), encoders())
    assert writer is not None
    assert writer.values(*row.values(), NOW) is not None


@pytest.mark.parametrize("missing", ["id", "short"])
def test_a_row_without_a_column_that_it_needs_is_left_to_the_checks(missing: str) -> None:
    assert row_writer(SCHEMA, tuple({"id", "short"} - {missing}), encoders()) is None


def test_a_row_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(InvalidRow, match="must be a mapping"):
        TABLE.written(["a"])  # type: ignore[arg-type]


def test_callers_choose_the_columns_of_a_limited_number_of_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []

    def counted(schema: TableSchema, given: tuple[str, ...], encoders: Any) -> Any:
        made.append(given)
        return row_writer(schema, given, encoders)

    monkeypatch.setattr("database.sql.table.row_writer", counted)
    table, optional = made_table(), ["order by", "weight", "at", "more", "count", "done"]
    for order in permutations(optional):
        row = dict.fromkeys(order[:3]) | {"id": "a", "short": "b", "count": 1, "done": True}
        assert table.written(row)[0] == tuple(SCHEMA.columns)
    assert len(made) == 64


def test_the_names_of_no_column_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("database.sql.table.row_writer", lambda *_: pytest.fail("it has no such column"))
    for name in ("unknown", "z" * 1_000):
        with pytest.raises(InvalidRow, match="does not exist"):
            made_table().written({"id": "a", "short": "b", name: 1})

"""Many rows that are checked at once: column by column, and as copies of rows that a database has."""

from __future__ import annotations

import math
from datetime import UTC
from datetime import datetime
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from database.columns import json
from database.columns import record_columns
from database.columns import text
from database.core.errors import InvalidRow
from database.core.kinds.json_texts import MAX_JSON_DEPTH
from database.core.kinds.json_texts import JsonText
from database.core.kinds.json_texts import copied_json
from database.core.kinds.json_texts import copied_jsons
from database.core.kinds.values import JSON
from database.core.tables.columnar_rows import ColumnarRows
from database.core.tables.columnar_rows import Columns
from database.core.tables.rows import complete_rows
from database.core.tables.schema import table_schema

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TABLE = table_schema(
    sa.Table(
        "notes",
        sa.MetaData(),
        *record_columns(),
        sa.Column("name", text(5), nullable=False),
        sa.Column("given", json(), nullable=False),
        sa.Column("left", json()),
    )
)
COLUMNS: Columns = {
    "id": ["a", "b"],
    "name": ["one", "two"],
    "given": [{"mass": 18.0}, [None]],
    "left": [None, {"of": "it"}],
}
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
)


def test_rows_by_column_are_rows() -> None:
    rows = ColumnarRows({"id": ["a", "b", "c"], "number": [1, 2, 3]})
    assert len(rows) == 3
    assert [*rows] == [{"id": "a", "number": 1}, {"id": "b", "number": 2}, {"id": "c", "number": 3}]
    assert rows[-1] == {"id": "c", "number": 3}
    assert [*rows[1:]] == [*rows][1:]


def test_rows_by_column_are_checked_as_others_are() -> None:
    rows = ColumnarRows({**COLUMNS, "left": [None, None]})
    completed = complete_rows(TABLE, rows, NOW)
    assert completed == complete_rows(TABLE, [*rows], NOW)
    assert completed["version"] == [1, 1]


@pytest.mark.parametrize(
    ("column", "values", "row", "problem"),
    [
        ("name", ["one", "longer"], 1, "must not be longer than 5 characters"),
        ("name", [None, "two"], 0, "must not be null"),
        ("unknown", [1, 2], 0, "does not exist"),
        ("given", [{}, None], 1, "must not be null"),
        ("given", [{"mass": math.nan}, {}], 0, "must be finite"),
        ("given", [{}, {"a": "\0"}], 1, "must not contain NUL"),
    ],
)
@pytest.mark.parametrize("copied", [False, True])
def test_the_first_bad_row_is_named(column: str, values: list[Any], row: int, problem: str, *, copied: bool) -> None:
    with pytest.raises(InvalidRow, match=problem) as raised:
        complete_rows(TABLE, ColumnarRows({**COLUMNS, column: values}), NOW, copied=copied)
    assert (raised.value.row, raised.value.column) == (row, column)


def test_the_documents_of_copied_rows_are_written_once() -> None:
    completed = complete_rows(TABLE, ColumnarRows(COLUMNS), NOW, copied=True)
    assert completed["given"] == [JsonText(b'{"mass":18.0}'), JsonText(b"[null]")]
    assert completed["left"] == [None, JsonText(b'{"of":"it"}')]


@given(documents)
def test_the_text_of_a_copied_document_is_what_the_check_takes(document: Any) -> None:
    text = copied_json(document)
    if text is not None:
        assert orjson.loads(bytes(text)) == JSON.check(document) == document


def test_a_document_that_is_nested_too_deeply_is_checked_closely() -> None:
    deep: Any = 1
    for _ in range(MAX_JSON_DEPTH + 1):
        deep = [deep]
    assert copied_json(deep) is None
    assert copied_json(deep[0]) is not None


@given(st.lists(documents, max_size=5))
def test_many_copied_documents_are_what_each_of_them_is(values: list[Any]) -> None:
    together = copied_jsons(values)
    if together is not None:
        assert together == [copied_json(value) for value in values]


def test_one_unusual_document_has_all_looked_at_one_by_one() -> None:
    plain = {"mass": 18.5, "names": ["a", "b"]}
    assert copied_jsons([plain, [], "text"]) == [JsonText(b'{"mass":18.5,"names":["a","b"]}'), b"[]", b'"text"']
    for unusual in (None, math.nan, "nul \0", 2**60, object()):
        assert copied_jsons([plain, [unusual]]) is None

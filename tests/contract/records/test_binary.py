"""Bytes and intervals: the forms in which they are given, their order, and SQL text."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.kinds.binary import MAX_BYTES
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.tables import thing


def ids(adapter: DatabaseAdapter, where: Where) -> list[str]:
    return [row["id"] for row in adapter.table("things").where(where).execute()]


def test_bytes_are_sorted_by_value_and_found_by_base64(adapter: DatabaseAdapter) -> None:
    values = {"a": b"\xff", "b": b"", "c": b"\x7f\x00", "d": b"\x7f", "e": b"\xfb\xff"}
    adapter.run(Insert("things", [thing(name, raw=value) for name, value in values.items()]))
    adapter.run(Insert("things", [thing("f"), thing("g", raw="+/8="), thing("h", raw=bytearray(b"x"))]))
    found = adapter.table("things").order("raw").execute().rows
    assert [row["raw"] for row in found] == [b"", b"x", b"\x7f", b"\x7f\0", b"\xfb\xff", b"\xfb\xff", b"\xff", None]
    assert {type(row["raw"]) for row in found} == {bytes, type(None)}
    for same in (b"\xfb\xff", "+/8=", "-_8="):
        assert ids(adapter, Where("raw", "eq", same)) == ["e", "g"]
        assert ids(adapter, Where("raw", "in", [same, b"", b"other"])) == ["b", "e", "g"]
    assert ids(adapter, Where("raw", "gt", b"\x7f\0")) == ["a", "e", "g"]
    assert ids(adapter, Where("raw", "is_null", True)) == ["f"]
    groups = adapter.run(Select("things", group=("raw",), where=Where("raw", "gte", b"\xfb"))).rows
    assert [(row["raw"], row["count"]) for row in groups] == [(b"\xfb\xff", 2), (b"\xff", 1)]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("raw", "+/8", "base64"),
        ("raw", "a b=", "base64"),
        ("raw", "é", "base64"),
        ("raw", 1, "bytes"),
        ("raw", b"x" * (MAX_BYTES + 1), "at most 262144 bytes"),
        ("span", "P1M", "duration of weeks"),
        ("span", "P1Y", "duration of weeks"),
        ("span", "P", "duration of weeks"),
        ("span", "PT", "duration of weeks"),
        ("span", "PT1.1234567S", "duration of weeks"),
        ("span", 5, "duration of weeks"),
        ("span", "P999999999W", "shorter than"),
        ("span", timedelta(days=999_999_999), "shorter than"),
    ],
)
def test_what_does_not_fit_is_an_error_of_its_row(
    adapter: DatabaseAdapter, column: str, value: Any, message: str
) -> None:
    with pytest.raises(InvalidRow, match=message) as refused:
        adapter.run(Upsert("things", [thing("a"), thing("b", **{column: value})]))
    assert (refused.value.row, refused.value.column) == (1, column)


def test_intervals_are_sorted_by_length(adapter: DatabaseAdapter) -> None:
    texts = {"a": "PT36H", "b": "P1D", "c": "-P1DT0.000001S", "d": "P1W", "e": "PT90M", "f": "P1DT12H"}
    adapter.run(Insert("things", [thing(name, span=value) for name, value in texts.items()]))
    found = adapter.table("things").order("span").execute().rows
    assert [row["id"] for row in found] == ["c", "e", "b", "a", "f", "d"]
    assert found[0]["span"] == timedelta(days=-1, microseconds=-1)
    assert ids(adapter, Where("span", "eq", timedelta(hours=36))) == ["a", "f"]
    assert ids(adapter, Where("span", "lt", timedelta(days=-999_999_999))) == []
    assert ids(adapter, Where("span", "in", ["PT24H", timedelta(days=7)])) == ["b", "d"]
    with pytest.raises(InvalidQuery, match="'span' must be a duration"):
        ids(adapter, Where("span", "gt", "P1M"))


def test_sql_text_has_bytes_and_intervals(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", raw=b"\0\xff", span="PT1.5S"), thing("b")]))
    params = {"raw": b"\0\xff", "span": timedelta(seconds=1.5)}
    expected = [{"raw": b"\0\xff", "span": timedelta(seconds=1.5)}]
    assert adapter.execute_query("select raw, span from things where raw = :raw and span = :span", params) == expected
    changed = adapter.execute_query(
        "update things set raw = :raw, span = :span where id = 'b' returning raw, span", params
    )
    assert changed == expected
    assert (adapter.get("things", "b") or {})["span"] == timedelta(seconds=1.5)

"""Every value is read as it was stored, with the same type."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from itertools import groupby
from itertools import zip_longest
from operator import itemgetter
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import INTEGER_MIN
from database.core.operations import Batch
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.tables.columnar_rows import ColumnarRows
from tests.contract.backends import Backend
from tests.contract.queries.generated import typed
from tests.contract.tables import thing

TEXTS = [
    "",
    " ",
    "water",
    "é",
    "e\u0301",
    "İıß",
    "水",
    "😀",
    "👩‍👩‍👧",
    "\U0010ffff",
    "\ufffe\uffff",
    "\u202eabc",
    "\x01\x7f\x80",
    "a\r\n\tb",
    "'",
    '"',
    "\\",
    "%s",
    "x" * 100_000,
]
INTEGERS = [0, 1, -1, 2**31, -(2**31) - 1, 2**53 + 1, INTEGER_MAX, INTEGER_MIN]
FLOATS = [0.0, 0.1, 1 / 3, -2.5, 1e16, 1.2345678901234567e17, 1e300, 1.7976931348623157e308, 5e-324, 2.0**63]
MOMENTS = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(1883, 11, 18, 12, tzinfo=timezone(-timedelta(hours=4, minutes=56, seconds=2))),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]
NOTED = [moment.replace(tzinfo=None) for moment in MOMENTS]
DECIMALS = ["0.0000", "0.0001", "-0.1000", "0.3000", "12.5000", "99999999999999.9999", "-99999999999999.9999"]
DOCUMENTS = [
    {},
    [],
    "text",
    "",
    0,
    False,
    True,
    1.5,
    [None],
    {"": None},
    {"b": 1, "a": {"c": [1, "2", 3.0, True, None]}},
    {"kind": "é 水 😀", "quote": "'\"\\ %s ? :a $$"},
    [INTEGER_MAX, INTEGER_MIN, 2**53 + 1],
    [1.0, 0.1, 1.2345678901234567e17, 9007199254740993.0, 1e16, 1e300, -1e300, 1.7976931348623157e308],
    [1e-7, 5e-324, 2.2250738585072014e-308],
    {"deep": {"er": [[[[{"x": []}]]]]}},
]

SPANS = [
    timedelta(),
    timedelta(microseconds=1),
    timedelta(microseconds=-1),
    timedelta(days=-1, seconds=1),
    timedelta(hours=30),
    timedelta(days=400, seconds=59, microseconds=999_999),
    timedelta(microseconds=2**63 - 1),
    timedelta(microseconds=1 - 2**63),
]
COLUMNS: list[tuple[str, Any]] = [
    *[("title", value) for value in TEXTS],
    *[("amount", value) for value in INTEGERS],
    *[("ratio", value) for value in FLOATS],
    *[("done", value) for value in (True, False)],
    *[("seen", value) for value in MOMENTS],
    *[("data", value) for value in DOCUMENTS],
    *[("level", value) for value in (0, -(2**15), 2**15 - 1)],
    *[("stock", value) for value in (0, -(2**31), 2**31 - 1)],
    *[("price", Decimal(value)) for value in DECIMALS],
    *[("day", value) for value in (date(1, 1, 1), date(2024, 2, 29), date(9999, 12, 31))],
    *[("opens", value) for value in (time(), time(12, 30), time(23, 59, 59, 999_999), time(0, 0, 0, 1))],
    *[("noted", value) for value in NOTED],
    *[("cell", value) for value in ("", " a b", "水😀é\n", "a\t")],
    *[("raw", value) for value in (b"", b"\0", b"a", b"\x80\xff", bytes(range(256)) * 40)],
    *[("span", value) for value in SPANS],
    *[
        ("tags", value)
        for value in ([], [""], ["NULL", "null"], ["a,b", '"', "\\", "{}", " a ", "é水😀", "it's"], ["a\nb"] * 3)
    ],
    *[("scores", value) for value in ([], [0], [-(2**15), 2**15 - 1] * 20)],
    *[("prices", [Decimal(value) for value in values]) for values in ([], ["0.10"], ["99999999.99", "-0.01"])],
    *[(column, value) for column, value in (("mood", "it's"), ("mood", ""), ("colour", "Blue"), ("weather", "SUN"))],
    *[("token", value) for value in ("00000000-0000-0000-0000-00000000000a", "ffffffff-ffff-ffff-ffff-ffffffffffff")],
]


_BY_COLUMN = [list(pairs) for _, pairs in groupby(sorted(COLUMNS, key=itemgetter(0)), itemgetter(0))]
ROWS: list[dict[str, Any]] = [dict(filter(None, row)) for row in zip_longest(*_BY_COLUMN)]
"""Each value in one of these rows, which have as many columns as there are values left."""


@pytest.mark.parametrize("copies", [1, 25])
def test_values_survive(calm: DatabaseAdapter, backend: Backend, copies: int) -> None:
    """One row is inserted by itself, a few row by row, and many in bulk; each has its own path to the database."""
    exact = backend.case.capabilities.json_number_types
    for given in ROWS:
        rows = [thing(f"{copy:02}", **given) for copy in range(copies)]
        calm.run(Insert("things", rows))
        stored = calm.table("things").select().execute().rows
        assert [row["id"] for row in stored] == [row["id"] for row in rows]
        for sent, row in zip(rows, stored, strict=True):
            _assert_kept(sent, row, exact)
        _assert_kept(rows[-1], calm.get("things", rows[-1]["id"]) or {}, exact)
        backend.clear()


def test_values_survive_an_update_and_an_upsert(calm: DatabaseAdapter, backend: Backend) -> None:
    exact = backend.case.capabilities.json_number_types
    for values in ROWS:
        given = thing("a", **values)
        (upserted,) = calm.run(Upsert("things", [given]))
        _assert_kept(given, upserted, exact)
        (cleared,) = calm.run(Update("things", dict.fromkeys(values), id="a"))
        assert {column: cleared[column] for column in values} == dict.fromkeys(values)
        (updated,) = calm.run(Update("things", values, id="a"))
        _assert_kept(given, updated, exact)
        (again,) = calm.run(Upsert("things", [given]))
        _assert_kept(given, again, exact)
        backend.clear()


def test_values_survive_being_copied(calm: DatabaseAdapter, backend: Backend) -> None:
    """Whole rows that were read are inserted and replaced in bulk, as sync does it."""
    exact = backend.case.capabilities.json_number_types
    calm.run(Insert("things", [thing(f"{place:02}", **given) for place, given in enumerate(ROWS)]))
    copies = [{**row, "id": f"copy-{row['id']}"} for row in calm.table("things").execute()]
    for write in (
        calm.prepared(Insert("things", copies, returning=False, verbatim=True)),
        Upsert("things", copies, returning=False, verbatim=True),
        Upsert("things", _by_column([*copies, *_renamed(copies, 100)]), returning=False, verbatim=True),
    ):
        calm.run(write)
        stored = {row["id"]: row for row in calm.table("things").execute()}
        for copy in copies:
            _assert_kept(copy, stored[copy["id"]], exact)


@pytest.mark.parametrize("number", [1.5, 1e16, 1e300])
def test_plain_documents_survive_being_copied_together(calm: DatabaseAdapter, backend: Backend, number: float) -> None:
    copies = [
        thing(f"{place:02}", data={"a": [place, 'line\n"quoted" \\ \t é'], "b": {"number": number}})
        for place in range(30)
    ]
    calm.run(calm.prepared(Insert("things", copies, returning=False, verbatim=True)))
    found = calm.table("things").order("id").execute().rows
    assert [row["data"] for row in found] == [copy["data"] for copy in copies]
    if backend.case.capabilities.json_number_types:
        assert {type(row["data"]["b"]["number"]) for row in found} == {float}


def _renamed(rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return [{**rows[place % len(rows)], "id": f"more-{place}"} for place in range(number)]


def _by_column(rows: list[dict[str, Any]]) -> ColumnarRows:
    return ColumnarRows({name: [row[name] for row in rows] for name in rows[0]})


EVERY: dict[str, Any] = {column: value for column, value in COLUMNS if column != "data"}
"""One value of every type."""


@pytest.mark.parametrize("alone", [True, False])
def test_a_row_of_every_type_is_written_and_changed(calm: DatabaseAdapter, alone: bool) -> None:
    given, empty = thing("a", **EVERY), thing("b")
    with nullcontext() if alone else calm.transaction():
        calm.run(Batch((Insert("things", [given, empty]), Upsert("things", [thing("c", **EVERY)]))))
        for record_id in "ac":
            _assert_kept({**EVERY, "id": record_id}, calm.get("things", record_id) or {}, True)
        (changed,) = calm.run(Update("things", EVERY, id="b")).rows
        _assert_kept({**EVERY, "id": "b"}, changed, True)
        assert calm.run(Update("things", dict.fromkeys(EVERY), where=Where("id", "eq", "a"))).count == 1
    assert [row["raw"] for row in calm.table("things").execute()] == [None, EVERY["raw"], EVERY["raw"]]


@pytest.mark.parametrize(("column", "value"), [pair for pair in COLUMNS if pair[0] != "data"])
def test_values_are_found_again(calm: DatabaseAdapter, column: str, value: Any) -> None:
    calm.run(Insert("things", [thing("a", **{column: value}), thing("b")]))
    listed = () if isinstance(value, list) else (Where(column, "in", [value]),)
    for condition in (Where(column, "eq", value), *listed, ~Where(column, "neq", value)):
        assert [row["id"] for row in calm.table("things").where(condition).execute()] == ["a"]


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if document != {}])
def test_documents_contain_themselves(calm: DatabaseAdapter, document: Any) -> None:
    calm.run(Insert("things", [thing("a", data=document), thing("b"), thing("c", data={"other": 1})]))
    found = calm.table("things").contains("data", document).execute()
    assert [row["id"] for row in found] == ["a"]


def test_moments_are_returned_in_utc(adapter: DatabaseAdapter) -> None:
    local = datetime(2024, 7, 1, 1, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    adapter.run(Insert("things", [thing("a", seen=local), thing("b", seen="2024-07-01T01:30:00.123456+02:00")]))
    for row in adapter.table("things").select("seen").execute():
        assert row["seen"].isoformat() == "2024-06-30T23:30:00.123456+00:00"
        assert row["seen"].tzinfo is UTC


def test_whole_numbers_are_taken_for_doubles(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", ratio=3), thing("b", ratio=2**53)]))
    rows = adapter.table("things").select("ratio").execute()
    assert [repr(row["ratio"]) for row in rows] == ["3.0", "9007199254740992.0"]


def test_negative_zero_equals_zero(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", ratio=-0.0, data=[-0.0]), thing("b", ratio=0.0)]))
    assert [row["ratio"] for row in adapter.table("things").eq("ratio", 0).execute()] == [0.0, 0.0]
    assert len(adapter.table("things").gte("ratio", -0.0).lte("ratio", -0.0).execute()) == 2
    assert len(adapter.table("things").contains("data", 0).execute()) == 1


def test_the_deepest_document_survives(adapter: DatabaseAdapter, backend: Backend) -> None:
    document: Any = 1
    for _ in range(backend.case.capabilities.json_depth):
        document = [document]
    adapter.run(Insert("things", [thing("a", data=document)]))
    assert (adapter.get("things", "a") or {})["data"] == document
    with pytest.raises(InvalidQuery, match="nested deeper"):
        adapter.run(Insert("things", [thing("b", data=[document])]))


def _assert_kept(given: dict[str, Any], stored: dict[str, Any], exact: bool) -> None:
    """Columns keep values and types; the numbers of a document are told apart by type only if that is ``exact``."""
    for name, value in given.items():
        assert stored[name] == value
        assert typed(stored[name], exact=exact or name != "data") == typed(value, exact=exact or name != "data")

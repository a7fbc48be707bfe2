"""Text with special characters of SQL, format strings or shells is stored as plain text."""

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.errors import NotFound
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Order
from database.core.query.filters import Where
from tests.contract.tables import thing

HOSTILE = [
    "'",
    '"',
    "''",
    "'; drop table things; --",
    '"; drop table things; --',
    "' or '1'='1",
    "1) or (1=1",
    "a'/*",
    "*/",
    "--",
    "$$",
    "$1",
    "$tag$",
    "?",
    "%s",
    "%(name)s",
    "%%",
    "%",
    "_",
    ":name",
    "::text",
    "\\",
    "\\'",
    "{}",
    "${HOME}",
    "$(id)",
    "`id`",
    "../../etc/passwd",
    "a::b",
    "null",
    "None",
    "{'$gt': ''}",
    "[a-z]*?",
    "\u202e\u200b\ufeff",
    "\x1b[2J",
    "\r\n\r\n",
    "things",
    "id",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_as_ids_and_values(calm: DatabaseAdapter, text: str) -> None:
    bystander = thing("bystander", title="safe")
    rows = [{"id": text, "label": text, "title": text, "code": text[:16], "data": {text: [text]}}, bystander]
    calm.run(Insert("things", rows))
    row = calm.get("things", text)
    assert row is not None
    assert (row["id"], row["label"], row["data"]) == (text, text, {text: [text]})
    calm.run(Upsert("things", [{"id": text, "label": text, "rank": 1}]))
    calm.run(Update("things", {"title": text * 2}, id=text, expected_version=2))
    found = calm.table("things").eq("title", text * 2).contains("label", text).contains("data", {text: [text]})
    assert [row["rank"] for row in found.in_("id", [text, "x"]).execute()] == [1]
    assert calm.run(Delete("things", id=text)).count == 1
    assert [row["title"] for row in calm.table("things").execute()] == ["safe"]


@pytest.mark.parametrize("text", HOSTILE)
def test_as_patterns(calm: DatabaseAdapter, text: str) -> None:
    calm.run(Insert("notes", [{"id": "a", "body": f"x{text}y"}, {"id": "b", "body": "other"}]))
    escaped = "".join(f"\\{character}" if character in "%_\\" else character for character in text)
    for operator in ("like", "ilike"):
        found = calm.run(Select("notes", where=Where("body", operator, f"x{escaped}y"))).rows
        assert [row["id"] for row in found] == ["a"]
    assert [row["id"] for row in calm.table("notes").contains("body", f"x{text}").execute()] == ["a"]


@pytest.mark.parametrize("name", [text for text in HOSTILE if text not in {"things", "id"}])
def test_as_names(calm: DatabaseAdapter, name: str) -> None:
    calm.run(Insert("things", [thing("a")]))
    with pytest.raises(NotFound):
        calm.table(name).execute()
    for refused in (
        Select("things", columns=(name,)),
        Select("things", order=(Order(name),)),
        Select("things", where=Where(name, "eq", "a")),
        Update("things", {name: "a"}, id="a"),
    ):
        with pytest.raises(InvalidQuery):
            calm.run(refused)
    with pytest.raises(InvalidRow):
        calm.run(Insert("things", [thing("b") | {name: "a"}]))
    assert [row["id"] for row in calm.table("things").execute()] == ["a"]

"""What columns get that are left out: the same on every backend, for one row, several and many."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.clock import utc_now
from database.core.errors import InvalidRow
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.result import Row
from database.core.tables.rows import replacement_values
from tests.contract.tables import SCHEMA

DRAFTS = SCHEMA.table("drafts")
MOMENT = datetime(2001, 2, 3, tzinfo=UTC)
GIVEN = {"token": "t", "slug": "s", "tags": [1], "state": "live", "rank": 1, "open": False, "seen": MOMENT, "by": "it"}


def _plain(row: Row) -> Row:
    """The columns whose default is known beforehand."""
    return {name: row[name] for name in ("slug", "tags", "state", "rank", "open", "touched", "by")}


def _defaults(task: str) -> dict[str, Any]:
    known = {"tags": {"of": []}, "state": "it's a draft", "rank": 7, "open": True, "touched": None, "by": "me"}
    return {"slug": f"{task}-1", **known}


@pytest.mark.parametrize("number", [1, 3, 40])
def test_columns_that_are_left_out_get_their_defaults(calm: DatabaseAdapter, number: int) -> None:
    before = utc_now()
    result = calm.run(Insert("drafts", [{"id": f"{n:02}", "task": f"{n}"} for n in range(number)]))
    assert [_plain(row) for row in result] == [_defaults(f"{n}") for n in range(number)]
    assert len({row["token"] for row in result}) == number
    assert all(before <= row["seen"] <= utc_now() for row in result)
    assert calm.table("drafts").execute().rows == result.rows


@pytest.mark.parametrize("operation", [Insert, Upsert])
@pytest.mark.parametrize("number", [1, 30])
def test_rows_of_one_write_may_leave_out_different_columns(
    calm: DatabaseAdapter, operation: type[Insert | Upsert], number: int
) -> None:
    rows = [{"id": f"{n:02}", "task": "a"} | (GIVEN if n % 2 else {}) for n in range(2 * number)]
    result = calm.run(operation("drafts", rows))
    for row in result.rows[::2]:
        assert _plain(row) == _defaults("a")
    for row in result.rows[1::2]:
        assert {name: row[name] for name in GIVEN} == GIVEN
    assert calm.table("drafts").execute().rows == result.rows


def test_a_default_document_is_the_rows_own(calm: DatabaseAdapter) -> None:
    for _ in range(2):
        for row in calm.run(Insert("drafts", [{"task": "a"}, {"task": "b"}])):
            assert row["tags"] == {"of": []}
            row["tags"]["of"].append(1)


def test_a_replacement_gives_columns_that_it_leaves_out_their_defaults(calm: DatabaseAdapter) -> None:
    (old,) = calm.run(Insert("drafts", [{"id": "a", "task": "a", **GIVEN}]))
    values = replacement_values(DRAFTS, {"id": "a", "task": "b"}, utc_now())
    (new,) = calm.run(Update("drafts", values, id="a"))
    assert _plain(new) == _defaults("b") | {"touched": new["touched"], "by": "you"}
    assert new["token"] not in {None, old["token"]}
    assert calm.get("drafts", "a") == new


def test_an_update_makes_what_onupdate_declares_unless_it_is_given(calm: DatabaseAdapter) -> None:
    calm.run(Insert("drafts", [{"id": "a", "task": "a"}, {"id": "b", "task": "b"}]))
    (first,) = calm.run(Update("drafts", {"rank": 1}, id="a"))
    assert (first["by"], len(first["touched"])) == ("you", 32)
    (second,) = calm.run(Update("drafts", {"rank": 2, "by": "she"}, id="a"))
    assert second["by"] == "she"
    assert second["touched"] != first["touched"]
    changed, made = calm.run(Upsert("drafts", [{"id": "a", "task": "c"}, {"id": "c", "task": "c"}]))
    assert changed["by"] == "you"
    assert changed["touched"] != second["touched"]
    assert (made["by"], made["touched"]) == ("me", None)
    assert calm.get("drafts", "a") == changed
    untouched = calm.get("drafts", "b")
    assert untouched is not None
    assert (untouched["by"], untouched["touched"]) == ("me", None)


def test_defaults_hold_inside_a_transaction(calm: DatabaseAdapter) -> None:
    with calm.transaction():
        (made,) = calm.run(Insert("drafts", [{"id": "a", "task": "a"}]))
        (changed,) = calm.run(Update("drafts", {"rank": 1}, id="a"))
    assert _plain(made) == _defaults("a")
    assert calm.get("drafts", "a") == changed
    assert changed["token"] == made["token"]


def test_what_has_no_default_is_still_required(calm: DatabaseAdapter) -> None:
    with pytest.raises(InvalidRow, match=r"row 2: column 'task'.* is required"):
        calm.run(Insert("drafts", [{"task": "a"}, {"state": "live"}]))
    assert calm.table("drafts").execute().rows == []

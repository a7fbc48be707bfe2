"""A change by plain SQL that does not count the version is counted by the database."""

from __future__ import annotations

import pytest

from database.core.errors import Conflict
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from tests.contract.following import told
from tests.integration.stored.conftest import Stored


def test_a_change_by_plain_sql_is_another_version_and_the_latest(stored: Stored) -> None:
    (old,) = stored.adapter.run(Insert("plain", [{"id": "a", "name": "a"}]))
    for _ in range(2):
        stored.execute("update plain set name = name || 'x' where id = 'a'")
        new = stored.adapter.get("plain", "a")
        assert new is not None
        assert (new["name"], new["version"]) == (old["name"] + "x", old["version"] + 1)
        assert new["updated_at"] >= old["updated_at"]
        with pytest.raises(Conflict):
            stored.adapter.run(Update("plain", {"name": "b"}, id="a", expected_version=old["version"]))
        old = new
    assert old["updated_at"] > old["created_at"]


def test_who_counts_the_version_is_believed(stored: Stored) -> None:
    adapter = stored.adapter
    (old,) = adapter.run(Insert("plain", [{"id": "a", "name": "a"}]))
    stored.execute("update plain set name = 'b', version = 7 where id = 'a'")
    assert adapter.get("plain", "a") == old | {"name": "b", "version": 7}
    stored.execute("update plain set name = 'c', updated_at = '2001-02-03T04:05:06.000000Z' where id = 'a'")
    row = adapter.get("plain", "a")
    assert row is not None
    assert (row["version"], row["updated_at"].year) == (8, 2001)


def test_the_applications_own_changes_are_counted_once(stored: Stored) -> None:
    adapter = stored.adapter
    adapter.run(Insert("plain", [{"id": "a", "name": "a"}]))
    (row,) = adapter.run(Update("plain", {"name": "b"}, id="a"))
    assert row["version"] == 2
    (row,) = adapter.run(Upsert("plain", [{"id": "a", "name": "c"}]))
    assert row["version"] == 3
    (row,) = adapter.run(Upsert("plain", [row | {"name": "d", "version": 9}], verbatim=True))
    assert adapter.get("plain", "a") == row
    assert row["version"] == 9


def test_what_changes_nothing_is_not_counted(on_postgres: Stored) -> None:
    """SQLite cannot tell."""
    on_postgres.adapter.run(Insert("plain", [{"id": "a", "name": "a"}]))
    before = on_postgres.adapter.get("plain", "a")
    on_postgres.execute("update plain set name = 'a' where id = 'a'")
    assert on_postgres.adapter.get("plain", "a") == before


def test_the_trigger_is_in_nobodys_way(stored: Stored) -> None:
    stored.execute("alter table plain add column more text")
    stored.execute("alter table plain rename column more to other")
    stored.execute("alter table orders drop column note")
    if stored.name == "postgres":
        stored.execute("alter table plain alter column version type integer")
    stored.execute("alter table plain drop column other")


def test_the_feed_tells_of_it_and_of_another_id(stored: Stored) -> None:
    stored.adapter.run(Insert("plain", [{"id": "a", "name": "a"}]))
    start = stored.adapter.changes().cursor
    stored.execute("update plain set id = 'b' where id = 'a'")
    assert set(told(stored.adapter, start)) == {("delete", "a"), ("insert", "b"), ("update", "b")} - (
        set() if stored.name == "sqlite" else {("update", "b")}
    )
    assert stored.adapter.get("plain", "b", ("version",)) == {"version": 2}

"""The answer to a write is what is stored, whatever triggers and rules make of the rows."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import product

import pytest

from database.core.errors import Conflict
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.integration.stored.conftest import Stored

AFTER_ON_SQLITE = """
create trigger upper_{event}_{table} after {event} on {table} begin update {table} set name = upper(new.name)
where id = new.id and name <> upper(new.name); end"""
AFTER_ON_POSTGRES = """
create or replace function after_write() returns trigger language plpgsql as $$ begin
execute format('update %I set name = upper($1) where id = $2 and name <> upper($1)', tg_table_name)
using new.name, new.id; return null; end $$;
create trigger upper_{event}_{table} after {event} on {table} for each row execute function after_write()"""
BEFORE_ON_POSTGRES = """
create or replace function before_write() returns trigger language plpgsql as $$ begin
new.name := upper(new.name); return new; end $$;
create trigger upper_{event}_{table} before {event} on {table} for each row execute function before_write()"""
DROP_ON_SQLITE = """
create trigger drop_{event}_{table} before {event} on {table} when new.name = 'bad' begin select raise(ignore); end"""
DROP_ON_POSTGRES = """
create or replace function drop_write() returns trigger language plpgsql as $$ begin
if new.name = 'bad' then return null; end if; return new; end $$;
create trigger drop_{event}_{table} before {event} on {table} for each row execute function drop_write()"""


def _install(stored: Stored, sqlite: str, postgres: str, table: str) -> None:
    for event in ("insert", "update"):
        stored.execute((sqlite if stored.name == "sqlite" else postgres).format(event=event, table=table))


@pytest.fixture(params=["after", "before"])
def upper(request: pytest.FixtureRequest, stored: Stored) -> Stored:
    """Every name becomes upper case, before or after it is written."""
    postgres = AFTER_ON_POSTGRES if request.param == "after" else BEFORE_ON_POSTGRES
    for table in ("plain", "orders"):
        _install(stored, AFTER_ON_SQLITE, postgres, table)
    return stored


@pytest.fixture
def dropping(stored: Stored) -> Stored:
    """A record with the name ``bad`` is not written."""
    for table in ("plain", "orders"):
        _install(stored, DROP_ON_SQLITE, DROP_ON_POSTGRES, table)
    return stored


def test_new_rows_are_answered_as_they_are_stored(upper: Stored) -> None:
    for table, operation, number in product(("plain", "orders"), (Insert, Upsert), (1, 2, 50)):
        result = upper.adapter.run(operation(table, [{"name": "a"} for _ in range(number)]))
        assert [row["name"] for row in result] == ["A"] * number
        found = upper.adapter.table(table).in_("id", result.ids).execute()
        assert sorted(result.rows, key=lambda row: str(row["id"])) == found.rows


def test_changed_rows_are_answered_as_they_are_stored(upper: Stored) -> None:
    adapter = upper.adapter
    adapter.run(Insert("plain", [{"id": "a", "name": "x"}, {"id": "b", "name": "x"}], returning=False))
    for operation in (
        Update("plain", {"name": "y"}, id="a"),
        Update("plain", {"name": "z"}, where=Where("id", "in", ["a", "b"])),
        Upsert("plain", [{"id": "b", "name": "u"}, {"id": "a", "name": "v"}]),
    ):
        result = adapter.run(operation)
        assert all(row["name"].isupper() for row in result)
        assert [adapter.get("plain", row["id"]) for row in result] == result.rows
    assert result.ids == ["b", "a"]
    with adapter.transaction():
        (made,) = adapter.run(Insert("plain", [{"id": "c", "name": "w"}]))
        (changed,) = adapter.run(Update("plain", {"name": "w"}, id="c"))
        if adapter.capabilities.immediate_constraints:
            assert (made["name"], changed["name"]) == ("W", "W")
    # Where a transaction is one request, only the commit tells.
    assert adapter.get("plain", "c") == changed
    assert changed["name"] == "W"


def test_an_upsert_by_another_column_is_answered_as_it_is_stored(upper: Stored) -> None:
    adapter = upper.adapter
    adapter.run(Insert("orders", [{"id": "a", "name": "x", "number": 1}]))
    rows = [{"id": "b", "name": "y", "number": 1}, {"id": "c", "name": "z", "number": 2}]
    result = adapter.run(Upsert("orders", rows, on_conflict=("number",)))
    assert [(row["id"], row["name"]) for row in result] == [("a", "Y"), ("c", "Z")]
    rows = [{"id": "d", "name": "w", "number": 2}, {"id": "e", "name": "v", "number": 3}]
    result = adapter.run(Upsert("orders", rows, on_conflict=("number",), ignore_duplicates=True))
    assert ([(row["id"], row["name"]) for row in result], result.count) == ([("e", "V")], 1)
    assert [row["name"] for row in adapter.table("orders").execute()] == ["Y", "Z", "V"]


def test_an_expected_version_is_as_good_as_without_triggers(upper: Stored) -> None:
    (row,) = upper.adapter.run(Insert("plain", [{"id": "a", "name": "x"}]))
    with pytest.raises(Conflict):
        upper.adapter.run(Update("plain", {"name": "y"}, id="a", expected_version=row["version"] + 7))
    assert upper.adapter.run(Update("plain", {"name": "y"}, id="a", expected_version=row["version"])).count == 1
    assert upper.adapter.run(Update("plain", {"name": "y"}, id="nobody", expected_version=1)).count == 0


def test_a_record_that_was_dropped_is_told_and_nothing_is_written(dropping: Stored) -> None:
    for operation, number, returning in product((Insert, Upsert), (0, 1, 50), (True, False)):
        rows = [*({"name": "good"} for _ in range(number)), {"name": "bad"}]
        with pytest.raises(ConstraintViolated, match="did not store the record") as refused:
            dropping.adapter.run(operation("plain", rows, returning=returning))
        assert (refused.value.kind, refused.value.row) == (ConstraintKind.CHECK, number)
    assert dropping.adapter.table("plain").execute().rows == []


def test_a_change_that_was_not_made_is_told_and_nothing_is_written(dropping: Stored) -> None:
    adapter = dropping.adapter
    before = adapter.run(Insert("plain", [{"id": "a", "name": "a"}, {"id": "b", "name": "b"}])).rows
    for returning in (True, False):
        for operation in (
            Update("plain", {"name": "bad"}, id="a", returning=returning),
            Update("plain", {"name": "bad"}, id="a", expected_version=1, returning=returning),
            Update("plain", {"name": "bad"}, where=Where("id", "gte", "a"), returning=returning),
            Upsert("plain", [{"id": "c", "name": "c"}, {"id": "a", "name": "bad"}], returning=returning),
        ):
            with pytest.raises(ConstraintViolated):
                adapter.run(operation)
    assert adapter.table("plain").execute().rows == before


def test_a_dropped_record_fails_its_transaction(dropping: Stored) -> None:
    with pytest.raises(ConstraintViolated), dropping.adapter.transaction():  # noqa: PT012  # the second one
        dropping.adapter.run(Insert("plain", [{"id": "a", "name": "a"}]))
        dropping.adapter.run(Insert("plain", [{"id": "b", "name": "b"}, {"id": "c", "name": "bad"}]))
    assert dropping.adapter.table("plain").execute().rows == []


_BAD = Insert("plain", [{"id": "b", "name": "bad"}])
_GOOD = Insert("plain", [{"id": "c", "name": "good"}])


@pytest.mark.parametrize(
    "calls",
    [
        [_BAD],
        [Insert("plain", [*_GOOD.rows, *_BAD.rows])],
        [Update("plain", {"name": "bad"}, id="a")],
        [Update("plain", {"name": "bad"}, id="a", returning=False)],
        [Upsert("plain", _BAD.rows)],
        [Batch((Delete("plain", id="a"), _BAD))],
        [_GOOD, Delete("plain", id="a"), _BAD],
        [Sql("update plain set name = 'fine' where id = 'a'"), _BAD],
    ],
    ids=repr,
)
@pytest.mark.parametrize("alone", [True, False])
def test_a_trigger_that_is_made_later_is_seen(on_sqlite: Stored, calls: list[Operation], *, alone: bool) -> None:
    def call() -> None:
        with nullcontext() if alone else adapter.transaction():
            for operation in calls:
                adapter.run(operation)

    adapter = on_sqlite.adapter
    first = adapter.run(Insert("plain", [{"id": "a", "name": "good"}])).rows
    # Until now bad records are stored, by the same connection with the same statements.
    call()
    adapter.run(Delete("plain", where=Where("id", "gte", "")))
    adapter.run(Insert("plain", first, verbatim=True))
    _install(on_sqlite, DROP_ON_SQLITE, DROP_ON_POSTGRES, "plain")
    with pytest.raises(ConstraintViolated):
        call()
    stored = {row["id"]: row["name"] for row in adapter.table("plain").execute()}
    assert "bad" not in stored.values()
    assert alone or stored == {"a": "good"}


def test_a_rule_that_does_nothing_is_told(on_postgres: Stored) -> None:
    adapter = on_postgres.adapter
    on_postgres.execute("create rule no_bad as on insert to plain where new.name = 'bad' do instead nothing")
    on_postgres.execute("create rule no_change as on update to plain where new.name = 'bad' do instead nothing")
    with pytest.raises(ConstraintViolated):
        adapter.run(Insert("plain", [{"name": "good"}, {"name": "bad"}]))
    (row,) = adapter.run(Insert("plain", [{"id": "a", "name": "good"}]))
    assert adapter.get("plain", "a") == row
    with pytest.raises(ConstraintViolated):
        adapter.run(Update("plain", {"name": "bad"}, id="a"))
    (changed,) = adapter.run(Update("plain", {"name": "better"}, id="a"))
    assert adapter.get("plain", "a") == changed


def test_a_constraint_that_ignores_rows_is_told(on_sqlite: Stored) -> None:
    on_sqlite.execute("drop table plain")
    on_sqlite.execute(
        "create table plain (id varchar(255) primary key, created_at text, updated_at text, version bigint,"
        " name varchar unique on conflict ignore)"
    )
    on_sqlite.adapter.run(Insert("plain", [{"name": "a"}]))
    with pytest.raises(ConstraintViolated):
        on_sqlite.adapter.run(Insert("plain", [{"name": "b"}, {"name": "a"}]))
    assert [row["name"] for row in on_sqlite.adapter.table("plain").execute()] == ["a"]

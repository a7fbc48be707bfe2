"""What sync does on every pair of databases."""

from __future__ import annotations

import pytest

from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.sync.chunks import FIRST
from database.sync.cycle import PAGE
from tests.integration.sync.conftest import Two
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.support import journal

ODD = "\u00e9\U0001f642\u2028 'quoted' \\"
DOCUMENT = {"whole": 1.0, "part": 0.5, "big": 2**53 + 1, "text": ODD, "list": [None, True, 1, []], "$key": {"": 0}}


def test_rows_of_both_sides_are_copied_letter_for_letter(two: Two) -> None:
    here = insert(two.first, "a", formula=ODD, properties=DOCUMENT)
    there = insert(two.second, "b", properties=[DOCUMENT])
    two.second.run(Update("molecules", {"formula": "x"}, id="b"))
    two.sync()
    assert two.second.get("molecules", "a") == here
    assert two.first.get("molecules", "b") == two.second.get("molecules", "b")
    assert two.second.get("molecules", "b", ("version", "created_at")) == {
        "version": 2,
        "created_at": there["created_at"],
    }


def test_changes_and_deletions_go_both_ways(two: Two) -> None:
    for record_id in "abcd":
        insert(two.first, record_id)
    manager = two.sync()
    two.first.run(Update("molecules", {"name": "from first"}, id="a"))
    two.second.run(Update("molecules", {"name": "from second"}, id="b"))
    two.first.run(Delete("molecules", id="c"))
    two.second.run(Delete("molecules", id="d"))
    assert manager.sync_all()
    assert [row["name"] for row in contents(two.first)["molecules"]] == ["from first", "from second"]
    assert contents(two.first) == contents(two.second)
    assert journal(two.first, two.second) == []


def test_a_restart_goes_on_where_the_last_run_ended(two: Two) -> None:
    insert(two.first, "a")
    two.sync()
    two.second.run(Delete("molecules", id="a"))
    counts = two.sync().get_sync_status()["tables"]["molecules"]
    assert contents(two.first)["molecules"] == []
    assert counts["deleted"] == 1


def test_a_cycle_without_changes_writes_nothing(two: Two) -> None:
    insert(two.first, "a")
    insert(two.second, "b")
    manager = two.sync()
    assert manager.sync_all()
    where = {adapter: adapter.changes().cursor for adapter in (two.first, two.second)}
    assert manager.sync_all()
    assert all(adapter.changes(cursor).changes == () for adapter, cursor in where.items())


def test_a_conflict_is_resolved_and_journalled(two: Two) -> None:
    insert(two.first, "a")
    manager = two.sync()
    two.second.run(Update("molecules", {"name": "earlier"}, id="a"))
    two.first.run(Update("molecules", {"name": "later"}, id="a"))
    assert manager.sync_all()
    assert contents(two.first) == contents(two.second)
    (row,) = contents(two.second)["molecules"]
    assert (row["name"], row["version"]) == ("later", 3)
    (entry,) = journal(two.first, two.second)
    assert (entry["table_name"], entry["record_id"], entry["rule"]) == ("molecules", "a", "last_modified")
    assert (entry["first_name"], entry["second_name"]) == (two.first.name, two.second.name)
    found = {name: entry[name]["name"] for name in ("base", "first_row", "second_row", "result")}
    assert found == {"base": "a", "first_row": "later", "second_row": "earlier", "result": "later"}


def test_parents_come_first_and_go_last(two: Two) -> None:
    insert(two.first, "m")
    insert(two.first, "e", "experiments", molecule_id="m")
    manager = two.sync()
    assert contents(two.second) == contents(two.first)
    with two.second.transaction():
        two.second.run(Delete("experiments", id="e"))
        two.second.run(Delete("molecules", id="m"))
        insert(two.second, "another")
        insert(two.second, "an experiment", "experiments", molecule_id="another")
    assert manager.sync_all()
    assert contents(two.second) == contents(two.first)
    assert [row["id"] for row in contents(two.first)["experiments"]] == ["an experiment"]


def test_a_record_that_is_refused_stops_no_other(two: Two) -> None:
    """One side deletes what the other begins to refer to."""
    insert(two.first, "m")
    manager = two.sync()
    two.first.run(Delete("molecules", id="m"))
    insert(two.second, "e", "experiments", molecule_id="m")
    insert(two.first, "z")
    assert not manager.sync_all()
    assert two.second.get("molecules", "z") is not None
    failures = manager.get_sync_status()["failures"]
    assert {(failure["table"], failure["id"]) for failure in failures} == {("molecules", "m"), ("experiments", "e")}
    assert all(failure["reason"].startswith("ConstraintViolated: ") for failure in failures)
    two.second.run(Delete("experiments", id="e"))
    two.sync()
    assert contents(two.first) == contents(two.second)
    assert [row["id"] for row in contents(two.second)["molecules"]] == ["z"]


def test_many_rows_are_loaded_in_pages(two: Two) -> None:
    # More than a page of ids, and where a test server looks up slowly more than are written together.
    number = (PAGE if two.second.kind == "memory" else FIRST) + 20
    for side, letter in ((two.first, "a"), (two.second, "b")):
        side.run(Insert("molecules", [{"id": f"{letter}{n:04}", "name": "x"} for n in range(number)], returning=False))
    manager = two.sync()
    assert len(contents(two.first)["molecules"]) == 2 * number
    assert contents(two.first) == contents(two.second)
    counts = manager.get_sync_status()["tables"]["molecules"]
    assert (counts["copied_to_second"], counts["copied_to_first"]) == (number, number)


def test_a_side_that_was_emptied_gets_everything_back(two: Two) -> None:
    insert(two.first, "m")
    insert(two.first, "e", "experiments", molecule_id="m")
    manager = two.sync()
    before = contents(two.first)
    _empty(two)
    assert manager.sync_all()
    assert contents(two.first) == contents(two.second) == before


def test_a_side_that_was_restored_is_compared_and_not_believed(two: Two) -> None:
    """The backup is older than a change, an insertion and a deletion that have been synced since."""
    (changed, deleted) = insert(two.second, "changed"), insert(two.second, "deleted")
    manager = two.sync()
    backup = two.second.table("isthmus_sync_cursors").select().execute().first
    bases = two.second.table("isthmus_sync_records").select().execute().rows
    two.second.run(Update("molecules", {"name": "new name"}, id="changed"))
    two.second.run(Delete("molecules", id="deleted"))
    insert(two.second, "inserted")
    assert manager.sync_all()
    assert backup is not None
    _restore(two, {"molecules": [changed, deleted], "isthmus_sync_cursors": [backup], "isthmus_sync_records": bases})
    assert manager.sync_all()
    assert contents(two.first) == contents(two.second)
    names = {row["id"]: row["name"] for row in contents(two.second)["molecules"]}
    assert names == {"changed": "new name", "deleted": "deleted", "inserted": "inserted"}


def _empty(two: Two) -> None:
    _restore(two, {})


def _restore(two: Two, tables: dict[str, list[dict[str, object]]]) -> None:
    """Have the second database hold this and nothing else."""
    order = ["experiments", "molecules", "protocols"]
    for table in (*order, *[table.name for table in two.second.schema if table.internal]):
        for row in two.second.table(table).select("id").execute().rows:
            two.second.run(Delete(table, id=row["id"]))
    for table, rows in tables.items():
        if rows:
            two.second.run(Insert(table, rows))


@pytest.mark.parametrize("two", ["sqlite-convex", "supabase-convex"], indirect=True)
def test_an_edit_by_plain_sql_counts_as_the_later_one(two: Two) -> None:
    insert(two.first, "a")
    manager = two.sync()
    two.second.run(Update("molecules", {"name": "earlier"}, id="a"))
    with as_application():
        two.first.execute_query("update molecules set name = 'later' where id = 'a'")
    assert manager.sync_all()
    assert contents(two.first) == contents(two.second)
    assert [row["name"] for row in contents(two.second)["molecules"]] == ["later"]
    (entry,) = journal(two.first, two.second)
    assert (entry["first_row"]["name"], entry["second_row"]["name"]) == ("later", "earlier")

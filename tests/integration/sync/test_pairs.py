"""What sync does on every pair of databases."""

from __future__ import annotations

from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.sync.cycle import PAGE
from database.sync.settling import CHUNK
from tests.integration.sync.conftest import Two
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.support import journal

ODD = "\u00e9\U0001f642\u2028 'quoted' \\"
DOCUMENT = {"whole": 1.0, "part": 0.5, "big": 2**53 + 1, "text": ODD, "list": [None, True, 1, []], "$key": {"": 0}}


def test_rows_of_both_sides_are_copied_letter_for_letter(two: Two) -> None:
    here = insert(two.supabase, "a", formula=ODD, properties=DOCUMENT)
    there = insert(two.convex, "b", properties=[DOCUMENT])
    two.convex.run(Update("molecules", {"formula": "x"}, id="b"))
    two.sync()
    assert two.convex.get("molecules", "a") == here
    assert two.supabase.get("molecules", "b") == two.convex.get("molecules", "b")
    assert two.convex.get("molecules", "b", ("version", "created_at")) == {
        "version": 2,
        "created_at": there["created_at"],
    }


def test_changes_and_deletions_go_both_ways(two: Two) -> None:
    for record_id in "abcd":
        insert(two.supabase, record_id)
    manager = two.sync()
    two.supabase.run(Update("molecules", {"name": "from supabase"}, id="a"))
    two.convex.run(Update("molecules", {"name": "from convex"}, id="b"))
    two.supabase.run(Delete("molecules", id="c"))
    two.convex.run(Delete("molecules", id="d"))
    assert manager.sync_all()
    assert [row["name"] for row in contents(two.supabase)["molecules"]] == ["from supabase", "from convex"]
    assert contents(two.supabase) == contents(two.convex)
    assert journal(two.supabase, two.convex) == []


def test_a_restart_goes_on_where_the_last_run_ended(two: Two) -> None:
    insert(two.supabase, "a")
    two.sync()
    two.convex.run(Delete("molecules", id="a"))
    counts = two.sync().get_sync_status()["tables"]["molecules"]
    assert contents(two.supabase)["molecules"] == []
    assert counts["deleted"] == 1


def test_a_cycle_without_changes_writes_nothing(two: Two) -> None:
    insert(two.supabase, "a")
    insert(two.convex, "b")
    manager = two.sync()
    assert manager.sync_all()
    where = {adapter: adapter.changes().cursor for adapter in (two.supabase, two.convex)}
    assert manager.sync_all()
    assert all(adapter.changes(cursor).changes == () for adapter, cursor in where.items())


def test_a_conflict_is_settled_and_journalled(two: Two) -> None:
    insert(two.supabase, "a")
    manager = two.sync()
    two.convex.run(Update("molecules", {"name": "earlier"}, id="a"))
    two.supabase.run(Update("molecules", {"name": "later"}, id="a"))
    assert manager.sync_all()
    assert contents(two.supabase) == contents(two.convex)
    (row,) = contents(two.convex)["molecules"]
    assert (row["name"], row["version"]) == ("later", 3)
    (entry,) = journal(two.supabase, two.convex)
    assert (entry["table_name"], entry["record_id"], entry["rule"]) == ("molecules", "a", "last_modified")
    found = {name: entry[name]["name"] for name in ("base", "supabase_row", "convex_row", "result")}
    assert found == {"base": "a", "supabase_row": "later", "convex_row": "earlier", "result": "later"}


def test_parents_come_first_and_go_last(two: Two) -> None:
    insert(two.supabase, "m")
    insert(two.supabase, "e", "experiments", molecule_id="m")
    manager = two.sync()
    assert contents(two.convex) == contents(two.supabase)
    with two.convex.transaction():
        two.convex.run(Delete("experiments", id="e"))
        two.convex.run(Delete("molecules", id="m"))
        insert(two.convex, "another")
        insert(two.convex, "an experiment", "experiments", molecule_id="another")
    assert manager.sync_all()
    assert contents(two.convex) == contents(two.supabase)
    assert [row["id"] for row in contents(two.supabase)["experiments"]] == ["an experiment"]


def test_a_record_that_is_refused_stops_no_other(two: Two) -> None:
    """One side deletes what the other begins to refer to."""
    insert(two.supabase, "m")
    manager = two.sync()
    two.supabase.run(Delete("molecules", id="m"))
    insert(two.convex, "e", "experiments", molecule_id="m")
    insert(two.supabase, "z")
    assert not manager.sync_all()
    assert two.convex.get("molecules", "z") is not None
    failures = manager.get_sync_status()["failures"]
    assert {(failure["table"], failure["id"]) for failure in failures} == {("molecules", "m"), ("experiments", "e")}
    assert all(failure["reason"].startswith("ConstraintViolated: ") for failure in failures)
    two.convex.run(Delete("experiments", id="e"))
    two.sync()
    assert contents(two.supabase) == contents(two.convex)
    assert [row["id"] for row in contents(two.convex)["molecules"]] == ["z"]


def test_many_rows_are_loaded_in_pages(two: Two) -> None:
    # More than a page of ids, and where a test server looks up slowly more than are written together.
    number = (PAGE if two.convex.kind == "memory" else CHUNK) + 20
    for side, letter in ((two.supabase, "a"), (two.convex, "b")):
        side.run(Insert("molecules", [{"id": f"{letter}{n:04}", "name": "x"} for n in range(number)], returning=False))
    manager = two.sync()
    assert len(contents(two.supabase)["molecules"]) == 2 * number
    assert contents(two.supabase) == contents(two.convex)
    counts = manager.get_sync_status()["tables"]["molecules"]
    assert (counts["copied_to_convex"], counts["copied_to_supabase"]) == (number, number)


def test_a_side_that_was_emptied_gets_everything_back(two: Two) -> None:
    insert(two.supabase, "m")
    insert(two.supabase, "e", "experiments", molecule_id="m")
    manager = two.sync()
    before = contents(two.supabase)
    _empty(two)
    assert manager.sync_all()
    assert contents(two.supabase) == contents(two.convex) == before


def test_a_side_that_was_restored_is_compared_and_not_believed(two: Two) -> None:
    """The backup is older than a change, an insertion and a deletion that have been synced since."""
    (changed, deleted) = insert(two.convex, "changed"), insert(two.convex, "deleted")
    manager = two.sync()
    backup = two.convex.table("isthmus_sync_cursors").select().execute().first
    bases = two.convex.table("isthmus_sync_records").select().execute().rows
    two.convex.run(Update("molecules", {"name": "new name"}, id="changed"))
    two.convex.run(Delete("molecules", id="deleted"))
    insert(two.convex, "inserted")
    assert manager.sync_all()
    assert backup is not None
    _restore(two, {"molecules": [changed, deleted], "isthmus_sync_cursors": [backup], "isthmus_sync_records": bases})
    assert manager.sync_all()
    assert contents(two.supabase) == contents(two.convex)
    names = {row["id"]: row["name"] for row in contents(two.convex)["molecules"]}
    assert names == {"changed": "new name", "deleted": "deleted", "inserted": "inserted"}


def _empty(two: Two) -> None:
    _restore(two, {})


def _restore(two: Two, tables: dict[str, list[dict[str, object]]]) -> None:
    """Have the second database hold this and nothing else."""
    order = ["experiments", "molecules", "protocols"]
    for table in (*order, *[table.name for table in two.convex.schema if table.internal]):
        for row in two.convex.table(table).select("id").execute().rows:
            two.convex.run(Delete(table, id=row["id"]))
    for table, rows in tables.items():
        if rows:
            two.convex.run(Insert(table, rows))

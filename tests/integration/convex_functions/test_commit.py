from __future__ import annotations

from typing import Any

import pytest
from convex import ConvexError

from tests.integration.convex_functions.support import BY_ID
from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import Row
from tests.integration.convex_functions.support import box
from tests.integration.convex_functions.support import delete
from tests.integration.convex_functions.support import insert
from tests.integration.convex_functions.support import item
from tests.integration.convex_functions.support import read
from tests.integration.convex_functions.support import refusal
from tests.integration.convex_functions.support import sample
from tests.integration.convex_functions.support import update


def test_what_is_committed_is_read_back(store: Functions) -> None:
    document = {"a": [1.5, None, True, {"b": "é"}], "big": 2**60}
    row = sample("s", rank=2**63 - 1, amount=-(2**63), mass=0.1, done=False, note="水😀", lot="", data=document)
    assert store.commit(insert("samples", row)) == {"replayed": False, "values": []}
    assert store.get("samples", "s") == row
    assert store.get("samples", "other") is None


def test_all_or_nothing(store: Functions) -> None:
    store.commit(insert("boxes", box("b1", code="x")))
    with pytest.raises(ConvexError) as error:
        store.commit(
            insert("boxes", box("b2")),
            update("boxes", box("b1", code="y")),
            insert("items", item("i", "nowhere")),
            reads=[read("boxes", "b1", box("b1", code="x"))],
        )
    assert refusal(error) == {"code": "FOREIGN_KEY", "table": "items", "column": "box_id", "step": 2}
    assert store.ids("boxes") == ["b1"]
    assert store.get("boxes", "b1") == box("b1", code="x")
    assert len(store.changes()) == 1


def test_a_key_is_carried_out_once(store: Functions) -> None:
    step = insert("boxes", box("b"))
    assert store.commit(step, key="k", fingerprint="one") == {"replayed": False, "values": []}
    assert store.commit(step, key="k", fingerprint="one") == {"replayed": True, "values": []}
    assert len(store.changes()) == 1
    with pytest.raises(ConvexError) as error:
        store.commit(insert("boxes", box("c")), key="k", fingerprint="two")
    assert refusal(error) == {"code": "KEY_REUSED"}
    assert store.ids("boxes") == ["b"]


def test_a_refused_commit_leaves_its_key_free(store: Functions) -> None:
    orphan = insert("items", item("i", "b"))
    with pytest.raises(ConvexError):
        store.commit(orphan, key="k")
    store.commit(insert("boxes", box("b")))
    assert store.commit(orphan, key="k") == {"replayed": False, "values": []}


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(None, id="came"),
        pytest.param(box("b", code="other"), id="changed"),
        pytest.param({"version": 2}, id="one column changed"),
        pytest.param({"version": 1.0}, id="of another type"),
        pytest.param({"data": {"n": 2}}, id="in its document"),
    ],
)
def test_a_record_that_is_not_as_it_was_read_is_stale(store: Functions, expected: Row | None) -> None:
    store.commit(insert("boxes", box("b", data={"n": 1})))
    with pytest.raises(ConvexError) as error:
        store.commit(insert("boxes", box("c")), reads=[read("boxes", "b", expected)])
    assert refusal(error) == {"code": "STALE", "table": "boxes", "id": "b"}
    assert store.ids("boxes") == ["b"]


def test_a_record_that_has_gone_is_stale(store: Functions) -> None:
    with pytest.raises(ConvexError) as error:
        store.commit(insert("boxes", box("c")), reads=[read("boxes", "b", box("b"))])
    assert refusal(error) == {"code": "STALE", "table": "boxes", "id": "b"}


@pytest.mark.parametrize("expected", [{"n": 1, "l": [1.0]}, {"l": [1], "n": 1.0}])
def test_numbers_in_documents_are_compared_by_size(store: Functions, expected: Row) -> None:
    store.commit(insert("boxes", box("b", data={"n": 1.0, "l": [1]})))
    store.commit(reads=[read("boxes", "b", {"data": expected})])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(insert("samples", sample("a5", rank=15)), id="phantom"),
        pytest.param(delete("samples", "a1"), id="deleted"),
        pytest.param(update("samples", sample("a1", rank=10, note="new")), id="changed"),
        pytest.param(update("samples", sample("a1", rank=25)), id="moved"),
    ],
)
def test_a_query_with_another_answer_is_stale(store: Functions, change: Row) -> None:
    rows = [sample(f"a{n}", rank=10 * n) for n in range(1, 5)]
    store.commit(*[insert("samples", row) for row in rows])
    seen = _range(rows[:2], where={"op": "gte", "column": "rank", "value": 10}, limit=2.0)
    store.commit(ranges=[seen])
    store.commit(change, reads=[read("samples", "a1", rows[0])])
    with pytest.raises(ConvexError) as error:
        store.commit(insert("samples", sample("z")), ranges=[seen])
    assert refusal(error) == {"code": "STALE", "table": "samples", "id": None}


def test_a_change_behind_the_limit_does_not_matter(store: Functions) -> None:
    rows = [sample(f"a{n}", rank=10 * n) for n in range(1, 5)]
    store.commit(*[insert("samples", row) for row in rows])
    store.commit(insert("samples", sample("b", rank=25)))
    assert store.commit(ranges=[_range(rows[:2], where=None, limit=2.0)])["replayed"] is False


def test_the_queries_are_compared_before_the_steps(store: Functions) -> None:
    store.commit(insert("samples", sample("a")), ranges=[_range([], where=None, limit=None)])
    assert store.ids("samples") == ["a"]


def test_steps_are_taken_in_order(store: Functions) -> None:
    store.commit(insert("boxes", box("old", code="o")))
    store.commit(
        delete("boxes", "old"),
        insert("boxes", box("old", code="again")),
        insert("boxes", box("brief")),
        update("boxes", box("brief", code="b")),
        delete("boxes", "brief"),
        insert("boxes", box("new")),
        update("boxes", box("new", code="n", version=2)),
        reads=[read("boxes", "old", box("old", code="o"))],
    )
    assert store.select("boxes")["rows"] == [box("new", code="n", version=2), box("old", code="again")]
    operations = [(change["id"], change["op"]) for change in store.changes()[1:]]
    assert operations == [
        ("old", "delete"),
        ("old", "insert"),
        ("brief", "insert"),
        ("brief", "update"),
        ("brief", "delete"),
        ("new", "insert"),
        ("new", "update"),
    ]


@pytest.mark.parametrize("step", [update("boxes", box("b")), delete("boxes", "b")])
def test_a_record_that_is_not_there_cannot_be_changed(store: Functions, step: Row) -> None:
    with pytest.raises(ConvexError) as error:
        store.commit(step)
    assert refusal(error) == {"code": "STALE", "table": "boxes", "id": "b"}


@pytest.mark.parametrize("table", ["nothing", "isthmusChanges", "isthmusCommits", "_storage", "constructor"])
def test_only_declared_tables_are_in_reach(store: Functions, table: str) -> None:
    attempts: list[Any] = [
        lambda: store.get(table, "a"),
        lambda: store.select(table),
        lambda: store.commit(insert(table, {"id": "a"})),
        lambda: store.commit(reads=[read(table, "a", None)]),
        lambda: store.commit(ranges=[{**_range([], where=None, limit=None), "table": table}]),
    ]
    for attempt in attempts:
        with pytest.raises(ConvexError) as error:
            attempt()
        assert refusal(error) == {"code": "NO_TABLE", "table": table}


def test_a_value_of_the_wrong_type_is_refused(store: Functions) -> None:
    with pytest.raises(RuntimeError, match="Validator error"):
        store.commit(insert("samples", sample("s", rank=1.5)))
    with pytest.raises(RuntimeError, match="Validator error"):
        store.commit(insert("samples", sample("s", unheard_of="x")))
    assert store.ids("samples") == []


def test_a_commit_of_a_thousand_changes(store: Functions) -> None:
    store.commit(*[insert("samples", sample(f"{n:04}")) for n in range(1000)])
    assert store.select("samples", count=True, limit=1.0)["total"] == 1000


def test_a_commit_that_convex_could_not_carry_out_is_refused(store: Functions) -> None:
    with pytest.raises(ConvexError) as error:
        store.commit(*[delete("boxes", str(n)) for n in range(7901)])
    assert refusal(error) == {"code": "LIMIT", "message": "a transaction may make at most 7900 changes"}
    with pytest.raises(ConvexError) as error:
        store.commit(reads=[read("boxes", str(n), None) for n in range(4001)])
    assert refusal(error) == {"code": "LIMIT", "message": "a transaction may look up at most 4000 records"}


def _range(expected: list[Row], **query: Any) -> Row:
    by_rank = {"column": "rank", "descending": False, "nulls_first": False}
    return {"table": "samples", "order": [by_rank, *BY_ID], "expected": expected, **query}

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import Row
from tests.integration.convex_functions.support import box
from tests.integration.convex_functions.support import insert
from tests.integration.convex_functions.support import sample
from tests.servers.convex_deployment import ConvexDeployment


def test_a_change_says_what_happened_and_who_did_it(store: Functions) -> None:
    store.commit(insert("boxes", box("a")), insert("boxes", box("b")), actor="user-1")
    store.commit(insert("boxes", box("c")))
    first, second, third = store.changes()
    assert first == {"table": "boxes", "id": "a", "op": "insert", "actor": "user-1", "rev": first["rev"], "seq": 0}
    assert (second["id"], second["rev"], second["seq"]) == ("b", first["rev"], 1)
    assert (third["id"], third["actor"], third["seq"]) == ("c", None, 0)
    assert third["rev"] > first["rev"]


def test_a_page_may_end_inside_a_commit(store: Functions) -> None:
    for start in range(0, 12, 4):
        store.commit(*[insert("boxes", box(f"{n:02}")) for n in range(start, start + 4)])
    assert [change["id"] for change in _all(store, 3.0)] == [f"{n:02}" for n in range(12)]


def test_no_change_is_missed_while_others_write(store: Functions, own_deployment: ConvexDeployment) -> None:
    done = Event()

    def write(writer: int) -> None:
        client = Functions(own_deployment.url, f"Convex {own_deployment.deploy_key}")
        for n in range(50 // 4 + 1):
            client.commit(*[insert("boxes", box(f"{writer}-{n}-{part}")) for part in range(1 + n % 4)])
        client.close()

    def follow() -> list[Row]:
        seen: list[Row] = []
        while True:
            last_round = done.is_set()
            seen += _all(store, 3.0, seen[-1] if seen else None)
            if last_round:
                return seen

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(follow)
        for writer in [pool.submit(write, number) for number in range(4)]:
            writer.result()
        done.set()
        seen = [change["id"] for change in reader.result()]
    assert len(seen) == len(set(seen))
    assert set(seen) == {row["id"] for page in store.pages("boxes") for row in page["rows"]}


def test_the_head_lies_before_what_comes(store: Functions) -> None:
    store.commit(insert("boxes", box("a")))
    head = store.query("isthmus:head")
    assert store.changes(rev=head) == []
    store.commit(insert("boxes", box("b")))
    assert [change["id"] for change in store.changes(rev=head)] == ["b"]


def test_a_call_counts_on_in_the_same_commit(service: Functions) -> None:
    created = {"path": "molecules:create", "args": {"data": {"name": "water"}}}
    answer = service.commit(insert("protocols", _protocol("p")), calls=[created, created])
    changes = service.changes()
    assert [change["seq"] for change in changes] == [0, 1, 2]
    assert len({change["rev"] for change in changes}) == 1
    assert [change["id"] for change in changes] == ["p", *[record["id"] for record in answer["values"]]]


def test_only_what_is_old_is_purged(store: Functions) -> None:
    store.commit(insert("boxes", box("a")), key="k")
    store.mutation("isthmus:purge", keep_seconds=3600.0)
    assert len(store.changes()) == 1
    assert store.commit(insert("boxes", box("a")), key="k")["replayed"] is True


def test_a_purge_goes_on_until_all_is_gone(store: Functions) -> None:
    store.commit(*[insert("samples", sample(f"{n:04}")) for n in range(600)], key="k")
    store.mutation("isthmus:purge", keep_seconds=0.0)
    _wait_until_empty(store)
    assert store.select("samples", count=True, limit=0.0)["total"] == 600
    assert store.commit(insert("boxes", box("new")), key="k")["replayed"] is False


def _wait_until_empty(store: Functions) -> None:
    """The rest of a purge runs in transactions of its own."""
    for _ in range(1_000):
        if not store.changes(limit=1.0):
            return
    raise AssertionError("the change log was not emptied")


def _all(store: Functions, limit: float, last: Row | None = None) -> list[Row]:
    """All changes behind one, in pages."""
    seen: list[Row] = []
    while True:
        rev, seq = (last["rev"], last["seq"]) if last else (0, 0)
        page = store.changes(rev, seq, limit)
        if not page:
            return seen
        seen += page
        last = page[-1]


def _protocol(id: str) -> Row:  # noqa: A002
    row = box(id)
    return {name: row[name] for name in ("id", "created_at", "updated_at", "version")} | {
        "name": id,
        "description": None,
        "steps": None,
    }

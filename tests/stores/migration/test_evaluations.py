"""Evaluations are copied between tables and stores, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from database.backends.memory import MemoryAdapter
from database.core.operations import Operation
from storage import Copied
from storage import CopyOptions
from storage import FileEntries
from storage import MemoryEntries
from storage import StorageConnectionError
from storage import Store
from storage.core.operations import Put
from stores import Evaluations
from stores import EvaluationsInTables
from stores.evaluations.places.on_stores import EvaluationsInStore
from stores.migration.evaluations import copy_evaluations
from stores.migration.evaluations import whole_evaluations
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over
from tests.stores.evaluations.places import PLACES
from tests.stores.evaluations.places import SCHEMA

LARGE = "0123456789" * 150_000
"""More than is kept in a record."""

HOSTILE = "../hostile \0"


def in_store(store: Store | None = None) -> Evaluations:
    place = store or Store(MemoryEntries())
    return Evaluations(EvaluationsInStore(place), place)


@pytest.fixture
def in_tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Evaluations]:
    """On PostgreSQL, which keeps the parts of JSON in an order of its own."""
    with PLACES["postgresql"](request) as place:
        yield Evaluations(*place.make(tmp_path))


@pytest.fixture
def source() -> Evaluations:
    place = Evaluations(EvaluationsInTables(MemoryAdapter(schema=SCHEMA)), Store(MemoryEntries()))
    place.create("done", "print('Hello')", {"at": datetime(2026, 1, 1, tzinfo=UTC), "z": {"b": 1, "a": 1.0}})
    place.update("done", status="running")
    place.update("done", status="completed", output=LARGE, error=b"\0\xff")
    place.create(HOSTILE, "\u4e2d")
    for number in range(5):
        place.add_event("done", "log", f"line {number}", {"n": number})
        place.record_metric("done", "memory", number / 3, "MiB")
    return place


def everything(place: Evaluations) -> dict[str, Any]:
    """All that callers can read, apart from versions and from where texts are kept."""
    return {one.id: _whole(place, one.id) for one in place.every()}


def _whole(place: Evaluations, id_: str) -> Any:
    found = place.get(id_)
    assert found is not None
    known = found.known()
    columns = ("status", "created_at", "started_at", "completed_at", "runtime_ms", "metadata", "code_hash")
    outputs = [place.code(id_)]
    outputs += [place.output(id_, kind) for kind in ("output", "error") if known[f"{kind}_size"] is not None]
    texts = [(one.media_type, b"".join(one.chunks)) for one in outputs]
    return {name: known[name] for name in columns}, texts, place.events(id_), place.metrics(id_)


def copy(source: Evaluations, target: Evaluations, **options: Any) -> Copied:
    return copy_evaluations(whole_evaluations(source), target, CopyOptions(**options))


def test_evaluations_pass_through_tables_and_stores(
    source: Evaluations, in_tables: Evaluations, tmp_path: Path
) -> None:
    places = [source, in_store(Store(FileEntries(tmp_path / "files"))), in_tables, in_store()]
    for number, target in enumerate(places[1:]):
        assert copy(places[number], target, dry_run=True).moved == 2
        assert target.count() == 0
        found = copy(places[number], target)
        assert (found.seen, found.moved, found.others, found.left) == (2, 2, 0, {})
        again = copy(places[number], target)
        assert (again.moved, again.same, again.left) == (0, 2, {})
        assert everything(target) == everything(source)


def test_what_is_missing_is_added_and_what_is_later_stays(source: Evaluations) -> None:
    target = in_store()
    target.create("theirs", "1")
    assert copy(source, target).others == 1
    source.add_event("done", "log", "one more")
    source.record_metric("done", "memory", 1.5)
    assert (copy(source, target).moved, copy(source, target).moved) == (1, 0)
    assert _whole(source, "done") == _whole(target, "done")
    source.update(HOSTILE, status="running")
    assert copy(source, target).moved == 1
    target.update(HOSTILE, metadata={"changed": "later"})
    source.add_event("done", "log", "and another one")
    found = copy(source, target)
    assert (found.moved, list(found.left)) == (1, [HOSTILE])
    assert _whole(target, HOSTILE)[0]["metadata"] == {"changed": "later"}
    assert copy(source, target, replace=True).moved == 1
    assert _whole(source, HOSTILE) == _whole(target, HOSTILE)


@pytest.mark.parametrize("writes", [1, 2, 3, 5, 8, 12])
def test_a_copy_goes_on_wherever_it_has_ended(source: Evaluations, writes: int) -> None:
    place, done = Faulty(), []
    target = in_store(over(place))

    def fail(operation: Operation) -> None:
        if isinstance(operation, Put):
            done.append(operation)
            if len(done) > writes:
                raise StorageConnectionError("it is down")

    place.before = fail
    with pytest.raises(StorageConnectionError):
        copy(source, target)
    place.heal()
    assert copy(source, target).left == {}
    assert everything(target) == everything(source)
    assert copy(source, target).same == 2

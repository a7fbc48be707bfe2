"""A side is restored from a backup of any moment: what the other one has got from it is not undone there."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import pytest

from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Update
from database.sync.bulk.copying import Copying
from database.sync.chunks import Chunks
from database.sync.manager import SyncManager
from database.sync.progress import Progress
from database.sync.side import Pair
from database.sync.three_way_merge import RecordKey
from tests.integration.sync.histories.databases import UnrulyMemory
from tests.integration.sync.support import Killed

CHANGES: dict[str, Operation] = {
    "insert": Insert("molecules", [{"id": "b", "name": "new"}]),
    "update": Update("molecules", {"name": "new"}, id="a"),
}


@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside_another_change"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("restored", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("dying", [0, 1], ids=["before_a_write_of_the_first", "before_a_write_of_the_second"])
@pytest.mark.parametrize("synced", [False, True], ids=["in_the_first_comparison", "later"])
def test_what_was_copied_before_a_restore_stays(
    dying: int, restored: int, change: str, *, synced: bool, other: bool
) -> None:
    arrived, ended = [], False
    for writes in count():
        adapters = UnrulyMemory("first"), UnrulyMemory("second")
        source, target = adapters[restored], adapters[1 - restored]
        source.run(Insert("molecules", [{"id": "a", "name": "old"}]))
        if synced:
            _sync(adapters)
        backup = source.backend.backup()
        if other:
            target.run(Insert("molecules", [{"id": "c", "name": "of the other side"}]))
        source.run(CHANGES[change])
        adapters[dying].backend.life = writes
        with suppress(Killed):
            _sync(adapters)
            ended = True
        adapters[dying].backend.life = None
        arrived.append("new" in _names(target))
        source.backend.restore(backup)
        _sync(adapters)
        assert _names(source) == _names(target)
        assert ("new" in _names(source)) == arrived[-1]
        assert {"old", "new"} & _names(source)
        if ended:
            break
    assert {True, False} <= {*arrived}


def test_nothing_is_copied_to_a_side_that_was_restored() -> None:
    adapters = first, second = UnrulyMemory("first"), UnrulyMemory("second")
    _sync(adapters)
    backup = second.backend.backup()
    second.run(Insert("molecules", [{"id": "a", "name": "undone"}]))
    _sync(adapters)
    second.backend.restore(backup)
    first.run(Insert("molecules", [{"id": "b", "name": "new"}]))
    pair = Pair.of(first, second, ("molecules",))
    (checkpoint,) = first.table("isthmus_sync_cursors").execute()
    copying = Copying(pair.sides, Chunks(bulk=True), Progress(pair.tables))
    assert copying.carry_out("first", [RecordKey("molecules", "b")], checkpoint["epoch"]) is None
    assert _names(second) == set()


def _sync(adapters: tuple[UnrulyMemory, UnrulyMemory]) -> None:
    SyncManager(*adapters, 1, ["molecules"]).sync_all()


def _names(adapter: UnrulyMemory) -> set[str]:
    return {str(row["name"]) for row in adapter.table("molecules").execute()}

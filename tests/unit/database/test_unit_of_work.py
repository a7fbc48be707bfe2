"""What else belongs to a unit of work, when the outcome of its commit is unknown and when it begins anew."""

from __future__ import annotations

import pytest

from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.core.errors import OutcomeUnknown
from database.core.operations import Insert
from database.core.operations import Select
from database.unit_of_work import Beginning
from database.unit_of_work import UnitOfWork


class Noted:
    """A resource that notes what becomes of it."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def prepare(self) -> None:
        self._notes.append("prepare")

    def commit(self) -> None:
        self._notes.append("commit")

    def rollback(self) -> None:
        self._notes.append("rollback")


def begun(adapter: FaultyAdapter, notes: list[str]) -> UnitOfWork:
    unit = UnitOfWork(beginning=lambda: "writing")
    unit.after_rollback(lambda: notes.append("after rollback"))
    unit.after_commit(lambda: notes.append("after commit"))
    unit.run(adapter, Insert("molecules", [{"name": "water"}]))
    return unit


def test_what_is_not_known_to_be_committed_is_neither_kept_nor_undone() -> None:
    adapter, notes = FaultyAdapter(MemoryAdapter(), config={"retry_count": 0}), list[str]()
    unit = begun(adapter, notes)
    unit.join(Noted(notes))
    with adapter.faults.expected("error_after_commit"), pytest.raises(OutcomeUnknown):
        unit.end(success=True)
    unit.close()
    assert notes == ["prepare"]


def test_a_unit_that_begins_anew_undoes_its_resources_and_goes_back_to_its_hooks() -> None:
    adapter, notes = FaultyAdapter(MemoryAdapter()), list[str]()
    unit = begun(adapter, notes)
    hooks = unit.hooks()
    unit.join(Noted(notes))
    unit.after_rollback(lambda: notes.append("of the lost attempt"))
    unit.begin_anew(hooks)
    assert notes == ["rollback"]
    unit.end(success=False)
    assert notes == ["rollback", "after rollback"]


@pytest.mark.parametrize("beginning", ["lazy", "reading", "writing"])
def test_a_unit_says_whether_its_reads_are_those_of_a_writer(beginning: Beginning) -> None:
    adapter = MemoryAdapter()
    unit = UnitOfWork(beginning=lambda: beginning)
    assert unit.writes is (beginning == "writing")
    unit.run(adapter, Select("molecules"))
    assert unit.writes is (beginning == "writing")
    unit.run(adapter, Insert("molecules", [{"name": "water"}]))
    assert unit.writes
    unit.end(success=True)
    assert unit.writes is (beginning == "writing")
    unit.run(adapter, Insert("molecules", [{"name": "heavy water"}]))
    assert unit.writes
    unit.close()
    assert not unit.writes

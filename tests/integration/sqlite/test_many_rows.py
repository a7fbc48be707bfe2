"""Many rows are inserted by statements of several; which row is refused is known all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from database.core.errors import ConstraintViolated
from database.core.operations import Insert
from database.core.operations import Upsert
from tests.contract.tables import thing
from tests.integration.sqlite.conftest import Make

ROWS = [thing(f"id-{number:03}", amount=number) for number in range(250)]


@pytest.mark.parametrize("place", [0, 1, 99, 100, 199, 249])
def test_the_refused_row_is_named_and_none_is_stored(make: Make, place: int) -> None:
    adapter = make()
    adapter.run(Insert("things", [thing(f"id-{place:03}")]))
    with pytest.raises(ConstraintViolated) as refused:
        adapter.run(Insert("things", ROWS, returning=False))
    assert refused.value.row == place
    assert len(adapter.table("things").execute().rows) == 1


@pytest.mark.parametrize("operation", [Insert("things", ROWS), Upsert("things", ROWS, returning=False, verbatim=True)])
def test_every_row_is_stored_once(make: Make, operation: Any) -> None:
    adapter = make()
    assert adapter.run(operation).count == 250
    assert [row["amount"] for row in adapter.table("things").execute()] == [*range(250)]


@pytest.mark.parametrize("way", ["rollback", "abort", "fail"])
def test_a_trigger_that_refuses_a_row_leaves_none(make: Make, path: Path, way: str) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            "create trigger refusing before insert on things when new.amount = 150"
            f" begin select raise({way}, 'no such amount'); end"
        )
    adapter = make()
    with pytest.raises(ConstraintViolated):
        adapter.run(Insert("things", ROWS, returning=False))
    assert adapter.table("things").execute().rows == []

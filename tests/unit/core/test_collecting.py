"""Sparing the garbage collector old objects ends with the last block, and leaves alone what others have frozen."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from database.core.collecting import old_objects_spared
from tests.integration.forks import answer_of_child


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_it_ends_with_the_last_block() -> None:
    first, second = old_objects_spared(), old_objects_spared()
    with first:
        assert gc.get_freeze_count() > 0
        second.__enter__()
    assert gc.get_freeze_count() > 0
    second.__exit__(None, None, None)
    assert gc.get_freeze_count() == 0


def test_what_a_server_has_frozen_stays_frozen() -> None:
    gc.freeze()
    with old_objects_spared():
        pass
    assert gc.get_freeze_count() > 0


def test_in_a_forked_child_no_block_goes_on() -> None:
    def child() -> str:
        before = gc.get_freeze_count()
        with old_objects_spared():
            spared = gc.get_freeze_count()
        return f"{before} {spared > 0} {gc.get_freeze_count()}"

    with old_objects_spared():
        assert answer_of_child(child) == "0 True 0"

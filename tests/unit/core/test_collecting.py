"""Sparing the garbage collector old objects ends with the last block, and leaves alone what others have frozen."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from database.core.collecting import old_objects_spared


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

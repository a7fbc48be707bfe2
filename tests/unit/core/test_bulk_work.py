"""What bulk work changes in the process ends with the last block, and leaves alone what others have frozen."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from database.core.bulk_work import bulk_work
from tests.integration.forks import answer_of_child


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_it_ends_with_the_last_block() -> None:
    first, second = bulk_work(), bulk_work()
    with first:
        assert gc.get_freeze_count() > 0
        second.__enter__()
    assert gc.get_freeze_count() > 0
    second.__exit__(None, None, None)
    assert gc.get_freeze_count() == 0


def test_threads_take_shorter_turns_until_the_last_block_ends() -> None:
    usual = sys.getswitchinterval()
    with bulk_work():
        with bulk_work():
            assert sys.getswitchinterval() == pytest.approx(1e-3)
        assert sys.getswitchinterval() == pytest.approx(1e-3)
    assert sys.getswitchinterval() == usual


def test_turns_that_are_shorter_already_stay() -> None:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        with bulk_work():
            assert sys.getswitchinterval() == pytest.approx(1e-4)
    finally:
        sys.setswitchinterval(usual)


@pytest.mark.parametrize(("usual", "meanwhile"), [(700, 500_000), (600_000, 600_000), (0, 0)])
def test_the_collector_comes_less_often_until_the_last_block_ends(usual: int, meanwhile: int) -> None:
    before = gc.get_threshold()
    gc.set_threshold(usual, 10, 10)
    try:
        with bulk_work():
            with bulk_work():
                pass
            assert gc.get_threshold() == (meanwhile, 10, 10)
        assert gc.get_threshold() == (usual, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_what_a_server_has_frozen_stays_frozen() -> None:
    gc.freeze()
    with bulk_work():
        pass
    assert gc.get_freeze_count() > 0


def test_in_a_forked_child_no_block_goes_on() -> None:
    def child() -> str:
        before = gc.get_freeze_count()
        with bulk_work():
            spared = gc.get_freeze_count()
        return f"{before} {spared > 0} {gc.get_freeze_count()} {sys.getswitchinterval()}"

    usual = sys.getswitchinterval()
    with bulk_work():
        assert answer_of_child(child) == f"0 True 0 {usual}"

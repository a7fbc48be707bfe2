"""The entries of sync's own writes in a change feed."""

from __future__ import annotations

from database.changes.feed import Change
from database.changes.feed import Changes
from database.sync.bulk.echoes import Echoes

INSERTED = Change("molecules", "a", "insert")
UPDATED = Change("molecules", "a", "update")


def test_one_entry_is_left_out_for_each_that_is_expected() -> None:
    echoes = Echoes()
    echoes.expect("insert", "molecules", ["a"])
    assert echoes.not_in(Changes((INSERTED, UPDATED, INSERTED), "1", more=True)) == [UPDATED, INSERTED]
    assert echoes.not_in(Changes((INSERTED,), "2")) == [INSERTED]


def test_at_the_end_of_the_feed_nothing_is_expected_any_longer() -> None:
    echoes = Echoes()
    echoes.expect("update", "molecules", ["a"])
    assert echoes.not_in(Changes((), "1")) == []
    assert echoes.not_in(Changes((UPDATED,), "2")) == [UPDATED]

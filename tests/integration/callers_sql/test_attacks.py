"""A caller's SQL text, by calls and by requests: nothing denied is read or changed, nothing is left behind.

Each text is asked in one of the ways of :data:`~tests.integration.callers_sql.world.WAYS`, in turn. The environment
variable ``CALLERS_SQL_WAYS`` asks for more of them, up to all 36, and then for all texts and a look after each one.
"""

from __future__ import annotations

import os

import pytest

from tests.integration.callers_sql.texts import ATTACKS
from tests.integration.callers_sql.texts import TAKEN
from tests.integration.callers_sql.world import CANARY
from tests.integration.callers_sql.world import WAYS
from tests.integration.callers_sql.world import Others
from tests.integration.callers_sql.world import Way
from tests.integration.callers_sql.world import World
from tests.integration.callers_sql.world import with_parameters

EACH = int(os.environ.get("CALLERS_SQL_WAYS", "1"))
_LOOK = 20
_STRIDE = 7  # has no factor in common with the number of ways

Asked = tuple[str, Way]


def _asked(texts: list[str], each: int) -> list[Asked]:
    return [
        (text, WAYS[(number * each + turn) * _STRIDE % len(WAYS)])
        for number, text in enumerate(texts)
        for turn in range(each)
    ]


def _ask_all(world: World, asked: list[Asked], others: Others = "as they are") -> dict[Asked, str]:
    """What each is told that the database is asked; with the same rows each time, of others as ``others`` says."""
    told: dict[Asked, str] = {}
    hidden, shown = world.begin_anew(others)
    before = world.left_behind()
    for number, (text, way) in enumerate(asked):
        answer = world.ask(text, way)
        # What is left by one of those that are refused, the next look sees as well.
        if EACH > 1 or (others == "as they are" and not answer.refused) or number % _LOOK == 0:
            assert world.left_behind() == before, (text, str(way))
        assert CANARY not in answer.text.replace(text, "").replace(with_parameters(text)[0], ""), (text, str(way))
        if answer.refused:
            continue
        told[text, way] = answer.text
        if others != "as they are" and text.startswith("select"):
            continue
        assert world.hidden() == hidden, (text, str(way))
        if world.shown() != shown:
            assert CANARY not in repr(world.shown()), (text, str(way))
            hidden, shown = world.begin_anew(others)
    return told


def _some(texts: list[str]) -> list[str]:
    """All about rows that others have in a table where Ada has hers, and half of the rest."""
    return [text for number, text in enumerate(texts) if EACH > 1 or number % 2 or "letters" in text]


ASKED = _asked(_some(ATTACKS), EACH)


def test_there_are_enough() -> None:
    assert len({text for text, _ in ASKED}) >= 1000
    assert {way for _, way in ASKED} == set(WAYS)


def test_attacks_read_change_and_tell_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    told = _ask_all(world, ASKED)
    assert CANARY not in caplog.text
    # Neither how many rows of others there are makes a difference, nor what is in them.
    assert _ask_all(world, list(told), "none") == told
    if EACH > 1:
        assert _ask_all(world, list(told), "different") == told


def test_an_id_that_is_taken_tells_nothing_else(world: World) -> None:
    told = _ask_all(world, _asked(TAKEN, 5 * EACH))
    assert _ask_all(world, list(told), "different") == told

"""JSON containment: what it says, and how much it looks at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.core.clock import monotonic
from database.core.errors import Stopped
from database.core.query.containment import prepared
from database.core.query.steps import Steps
from tests.contract.queries.generated import documents

MANY = 20_000


class Counted(Steps):
    """Steps that are counted."""

    __slots__ = ("taken",)

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def take(self, count: int = 1) -> None:
        self.taken += count


def defined(document: Any, part: Any) -> bool:
    """The definition, word by word."""
    if isinstance(document, list) and not isinstance(part, dict | list):
        return any(same(element, part) for element in document)
    return holds(document, part)


def holds(document: Any, part: Any) -> bool:
    if isinstance(document, dict) and isinstance(part, dict):
        return all(key in document and holds(document[key], value) for key, value in part.items())
    if isinstance(document, list) and isinstance(part, list):
        return all(any(holds(candidate, element) for candidate in document) for element in part)
    return same(document, part)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return False
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


@given(document=documents, part=documents)
def test_it_is_what_the_definition_says(document: Any, part: Any) -> None:
    for one, other in ((document, part), (document, document), ([document, part], part), ([document], [part])):
        assert prepared(other).within(one, Steps()) is defined(one, other)


@given(st.recursive(st.sampled_from([0, 1, True, None, "a"]), lambda part: st.lists(part, max_size=4)), st.data())
def test_nested_lists_are_searched_in_any_order(document: Any, data: st.DataObject) -> None:
    elements = document if isinstance(document, list) else [document]
    part = data.draw(st.lists(st.sampled_from(elements), max_size=4)) if elements else []
    assert prepared(part).within(elements, Steps())
    assert prepared([*part, "elsewhere"]).within(elements, Steps()) is ("elsewhere" in elements)


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ([*range(MANY)], [*range(MANY - 200, MANY)]),
        ([{"a": n} for n in range(MANY)], [{"a": n} for n in range(MANY - 200, MANY)]),
        ([[n, "x"] for n in range(MANY)], [[n] for n in range(MANY - 200, MANY)]),
        (
            {"list": [{"a": n, "b": 1} for n in range(MANY)]},
            {"list": [{"b": 1, "a": n} for n in range(MANY - 200, MANY)]},
        ),
    ],
    ids=["scalars", "objects", "lists", "rarest"],
)
def test_a_document_is_gone_through_a_few_times_whatever_is_looked_for(document: Any, part: Any) -> None:
    steps = Counted()
    assert prepared(part).within(document, steps)
    assert steps.taken < 5 * MANY


def test_what_has_no_rare_feature_ends_at_the_deadline() -> None:
    document, part = [[[0]]] * MANY, [[[n]] for n in range(200)]
    with pytest.raises(Stopped):
        prepared(part).within(document, Steps(monotonic()))

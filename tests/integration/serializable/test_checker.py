"""The checker finds each anomaly where there is one, and none where there is none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.serializable.histories import Append
from tests.integration.serializable.histories import Read
from tests.integration.serializable.histories import Transaction
from tests.integration.serializable.histories import anomalies


def done(name: str, *steps: Append | Read) -> Transaction:
    return Transaction(name, steps)


def append(key: str, value: int) -> Append:
    return Append(key, value)


def read(key: str, *values: int) -> Read:
    return Read(key, values)


HISTORIES: list[tuple[str, set[str], Sequence[Transaction]]] = [
    ("nothing", set(), [done("last")]),
    (
        "one after the other",
        set(),
        [done("a", read("x"), append("x", 1)), done("b", read("x", 1), append("x", 2)), done("last", read("x", 1, 2))],
    ),
    (
        "own appends are seen",
        set(),
        [done("a", append("x", 1), read("x", 1), append("x", 2), read("x", 1, 2)), done("last", read("x", 1, 2))],
    ),
    (
        "what failed is not there",
        set(),
        [Transaction("a", [append("x", 1)], committed=False), done("last", read("x"))],
    ),
    (
        "an aborted read",
        {"G1a"},
        [Transaction("a", [append("x", 1)], committed=False), done("b", read("x", 1)), done("last", read("x"))],
    ),
    (
        "an intermediate read",
        {"G1b", "G-single"},
        [done("a", append("x", 1), append("x", 2)), done("b", read("x", 1)), done("last", read("x", 1, 2))],
    ),
    (
        "writes in two orders",
        {"G0"},
        [
            done("a", append("x", 1), append("y", 1_1)),
            done("b", append("x", 2), append("y", 2_1)),
            done("last", read("x", 1, 2), read("y", 2_1, 1_1)),
        ],
    ),
    (
        "each has read the other",
        {"G1c"},
        [
            done("a", append("x", 1), read("y", 2)),
            done("b", append("y", 2), read("x", 1)),
            done("last", read("x", 1), read("y", 2)),
        ],
    ),
    (
        "read skew",
        {"G-single"},
        [
            done("a", append("x", 1), append("y", 2)),
            done("b", read("x"), read("y", 2)),
            done("last", read("x", 1), read("y", 2)),
        ],
    ),
    (
        "write skew",
        {"G2"},
        [
            done("a", read("y"), append("x", 1)),
            done("b", read("x"), append("y", 2)),
            done("last", read("x", 1), read("y", 2)),
        ],
    ),
    (
        "the read-only anomaly",
        {"G2"},
        [
            done("withdrawal", read("x"), read("y"), append("x", 1)),
            done("deposit", append("y", 2)),
            done("report", read("x"), read("y", 2)),
            done("last", read("x", 1), read("y", 2)),
        ],
    ),
    (
        "a lost update",
        {"lost update"},
        [done("a", read("x"), append("x", 1)), done("b", read("x"), append("x", 2)), done("last", read("x", 2))],
    ),
    (
        "two versions of one list",
        {"order"},
        [done("a", append("x", 1)), done("b", append("x", 2)), done("c", read("x", 1)), done("last", read("x", 2))],
    ),
    ("a value of nobody", {"garbage"}, [done("last", read("x", 7))]),
    (
        "a read that is not repeated",
        {"internal", "G-single"},
        [done("a", append("x", 1)), done("b", read("x"), read("x", 1)), done("last", read("x", 1))],
    ),
    (
        "an own append that is not seen",
        {"internal", "lost update"},
        [done("a", append("x", 1), read("x")), done("last", read("x"))],
    ),
]


@pytest.mark.parametrize(("expected", "history"), [one[1:] for one in HISTORIES], ids=[one[0] for one in HISTORIES])
def test_each_anomaly_is_found(expected: set[str], history: Sequence[Transaction]) -> None:
    found = anomalies(history)
    assert expected <= found
    assert bool(found) == bool(expected)


@given(st.lists(st.lists(st.tuples(st.sampled_from("xyz"), st.booleans()), max_size=5), max_size=12))
def test_what_ran_one_after_the_other_has_none(transactions: list[list[tuple[str, bool]]]) -> None:
    lists: dict[str, tuple[int, ...]] = defaultdict(tuple)
    history, value = [], 0
    for number, wanted in enumerate(transactions):
        steps: list[Append | Read] = []
        for key, appends in wanted:
            if appends:
                value += 1
                lists[key] += (value,)
            steps.append(Append(key, value) if appends else Read(key, lists[key]))
        history.append(Transaction(str(number), steps))
    history.append(done("last", *[Read(key, values) for key, values in lists.items()]))
    assert anomalies(history) == set()

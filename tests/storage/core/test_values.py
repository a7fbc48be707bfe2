"""Values: their types are kept."""

from __future__ import annotations

import math
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from storage.core.store import Store

INDIA = timezone(timedelta(hours=5, minutes=30))

EDGES: list[Any] = [
    *(-(2**63), 2**63, 2**64, -(2**64), 10**400, True, 1, 1.0, -0.0, 5e-324, math.inf),
    *(Decimal("1.10"), Decimal("1E+3"), Decimal("-0"), Decimal("Infinity")),
    *(
        datetime.max.replace(tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=INDIA),
        date.min,
        time.max,
    ),
    *(timedelta(microseconds=-1), timedelta.max, UUID(int=0), b"\x00\xff", "\0\u2028", "$type"),
    *({"$type": "uuid", "value": "x"}, {"$type": {"$type": 1}}, {"value": 1}, [[[]]], {"": ""}),
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
)
keys = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["$type", "value"])
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=10)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_any_value_is_read_as_it_was_stored(store: Store, value: Any) -> None:
    store.put("key", value)
    found = store.load("key")
    assert found == value
    assert types(found) == types(value)


@pytest.mark.parametrize("value", EDGES)
def test_values_at_the_edges(store: Store, value: Any) -> None:
    store.put("key", [value])
    (found,) = store.load("key")
    assert found == value
    assert repr(found) == repr(value)


def test_not_a_number(store: Store) -> None:
    store.put("key", {"a": math.nan})
    assert math.isnan(store.load("key")["a"])


def test_a_tuple_becomes_a_list(store: Store) -> None:
    store.put("key", (1, (2,)))
    assert store.load("key") == [1, [2]]


def types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: types(part) for key, part in value.items()}
    return [types(part) for part in value] if isinstance(value, list) else type(value)

"""What stands in JSON for the values that SQL text may answer with."""

from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from ipaddress import ip_interface
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from api.http.json import OrjsonProvider

EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05.000000Z"'),
        (datetime(2026, 1, 2, 3, 4, 5, 6, EAST), '"2026-01-02T01:04:05.000006Z"'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None), '"2026-01-02T03:04:05.000000"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (time(3, 4, 5, 6), '"03:04:05.000006"'),
        (timedelta(days=1, seconds=2, microseconds=3), '"P1DT2.000003S"'),
        (timedelta(hours=-1), '"-P0DT3600S"'),
        (Decimal("1.50"), "1.50"),
        (Decimal("12345678901234567890.123"), "12345678901234567890.123"),
        (Decimal("1E+3"), "1E+3"),
        (Decimal("NaN"), "null"),
        (Decimal("-Infinity"), "null"),
        (b"\x00\xff", '"AP8="'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (ip_interface("10.0.0.1/8"), '"10.0.0.1/8"'),
    ],
    ids=repr,
)
def test_a_value_of_sql_has_a_json_form(value: Any, expected: str) -> None:
    assert OrjsonProvider(Flask("test")).dumps([value]) == f"[{expected}]"


def test_what_has_no_json_form_is_named() -> None:
    with pytest.raises(TypeError):
        OrjsonProvider(Flask("test")).dumps(object())

"""Values that a record holds for a moment fit their column."""

from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from database.columns import text
from database.columns import timestamp
from database.core.tables.schema import table_schema
from database.sync.untangling.spare_values import is_rare
from database.sync.untangling.spare_values import spare_values

TOKEN = "00000000-0000-0000-0000-000000000000"
KINDS: list[tuple[Any, Any, bool]] = [
    (text(), "", True),
    (text(4), "abcd", False),
    (text(16), "ada@example.com", True),
    (sa.BigInteger(), 0, True),
    (sa.SmallInteger(), 0, False),
    (sa.Double(), 0.0, True),
    (sa.Numeric(18, 2), Decimal("1.00"), False),
    (sa.Numeric(4, 2), Decimal("1.00"), False),
    (sa.Boolean(), True, False),
    (sa.Date(), date.max, False),
    (sa.Time(), time(), False),
    (timestamp(), datetime.min.replace(tzinfo=UTC), False),
    (sa.Interval(), timedelta(), False),
    (sa.Uuid(as_uuid=False), TOKEN, True),
    (sa.LargeBinary(), b"", True),
    (sa.LargeBinary(2), b"", False),
    (sa.Enum("a label of some length", "b", name="labels"), "b", False),
]


@pytest.mark.parametrize(("kind", "value", "rare"), KINDS)
def test_they_are_other_values_of_the_column(kind: Any, value: Any, rare: bool) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", text(255), primary_key=True), sa.Column("c", kind))
    column = table_schema(table).columns["c"]
    nothing, *others = spare_values(column, value)
    assert nothing is None
    assert others
    assert [column.check(one) for one in others] == others
    assert any(one != value for one in others)
    assert is_rare(column, others[0]) is rare

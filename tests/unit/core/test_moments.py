"""Times as text: in UTC, all of one width, in the order of the times."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import moment
from database.core.kinds.values import moment_text
from database.core.kinds.values import moment_texts

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))) | st.just(UTC)
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001  # they get a zone


@given(TIMES, TIMES)
@example(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
@example(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=UTC))
def test_times_are_text_of_one_width_in_their_order(one: datetime, other: datetime) -> None:
    texts = moment_text(one), moment_text(other)
    assert [moment(text) for text in texts] == [one, other]
    assert [len(text) for text in texts] == [27, 27]
    assert (texts[0] < texts[1]) == (one < other)
    assert texts[0] == TIMESTAMP.check(one).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@given(st.lists(TIMES | st.none(), min_size=1))
@example([datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None, datetime(1, 1, 1, tzinfo=UTC)])
def test_many_times_are_written_as_each_of_them(times: list[datetime | None]) -> None:
    checked = [None if one is None else TIMESTAMP.check(one) for one in times]
    assert moment_texts(checked) == [None if one is None else moment_text(one) for one in checked]


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert moment_text(datetime(2026, 1, 2)) == "2026-01-02T00:00:00.000000Z"  # noqa: DTZ001

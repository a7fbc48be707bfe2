"""Which column stands beside a parameter of SQL text."""

from __future__ import annotations

import pytest

from database.sql.texts.timed import beside

TEXTS: list[tuple[str, list[str | None]]] = [
    ("select * from t where day = ?", ["day"]),
    ('select * from t where ? <= t.day and x."The Day" <> ? or [a] is ? or `b`==?', ["day", "the day", "a", "b"]),
    ("select ? from t where lower(day) = ? and day + ? > 1", [None, None, None]),
    ("select * from t where day between ? and ? and seen NOT between ? and ?", ["day", "day", "seen", "seen"]),
    ("select * from t where day between x and ?", ["day"]),
    ("select * from t where day in (?, '2024-01-01', ?) and seen not in (?)", ["day", "day", "seen"]),
    ("select * from t where day = '?' -- = ?\n and /* ? */ seen > ?", ["seen"]),
    ("update t set day = ?, seen=? where id = ?", ["day", "seen", "id"]),
    ("insert into t (id, day, seen) values (?, ?, ?), ('a', (?), lower(?))", ["id", "day", "seen", None, None]),
    ('insert or replace into "T" as x ("day") values (?) on conflict do update set day = ?', ["day", "day"]),
    ("insert into t values (?, ?)", [None, None]),
    ("insert into t (day) select ? from u where seen = ?", [None, "seen"]),
    ("values (?)", [None]),
    ("?", [None]),
]


@pytest.mark.parametrize(("text", "columns"), TEXTS)
def test_columns_beside(text: str, columns: list[str | None]) -> None:
    assert list(beside(text).columns) == columns

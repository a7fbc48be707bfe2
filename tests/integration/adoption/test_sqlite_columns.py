"""How the columns of SQLite files are declared: by what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from database.schema.adoption import sqlite

NUMBER = 'sa.Numeric({0}).with_variant(sa.REAL(), "sqlite")'
COLUMNS: list[tuple[str, list[Any], str | None]] = [
    ("NUMERIC(10,2)", [1.5, 2, -0.07], NUMBER.format("10, 2")),
    ("DECIMAL( 5 )", [3], NUMBER.format("5, 0")),
    ("NUMERIC(10,2)", [], NUMBER.format("10, 2")),
    ("NUMERIC(10,2)", [1.555], None),
    ("NUMERIC(10,2)", [123456789.0], None),
    ("NUMERIC(10,2)", ["a"], None),
    ("NUMERIC(16,2)", [1], None),
    ("NUMERIC", [1.5], "sa.Double"),
    ("DATETIME", ["2024-02-29T12:30:00.000000Z"], "columns.timestamp()"),
    ("DATETIME", ["2024-02-29T12:30:00.000000Z", "2024-02-29 12:30:00"], None),
    (
        "TIMESTAMP",
        ["2024-02-29 12:30:00", "2024-02-29 00:00:00"],
        'sa.DateTime().with_variant(sa.String(19), "sqlite")',
    ),
    ("DATETIME", ["2024-02-29 12:30:00.000000"], 'sa.DateTime().with_variant(sa.String(26), "sqlite")'),
    ("DATETIME", ["2024-02-29T12:30:00.000000"], "sa.DateTime"),
    ("DATETIME", ["2024-02-29 12:30:00.000000", "2024-02-29 12:30:00"], None),
    ("DATETIME", ["2024-02-29 12:30:00.00000Z"], None),
    ("DATETIME", ["2024-02-30 12:60:00"], None),
    ("DATETIME", [1709208000], "sa.BigInteger"),
    ("DATETIME", [2460370.5, 1], "sa.Double"),
    ("DATETIME", [], None),
    ("DATE", ["2024-02-29"], "sa.Date"),
    ("DATE", [], "sa.Date"),
    ("DATE", ["2024-02-30"], None),
    ("DATE", ["29.02.2024"], None),
    ("DATE", [19782], "sa.BigInteger"),
    ("TIME", ["12:30:00.000000"], "sa.Time"),
    ("TIME", ["12:30:00"], None),
    ("BOOLEAN", [0, 1], "sa.Boolean"),
    ("BOOLEAN", ["t"], None),
    ("BOOLEAN", [2], None),
    ("VARCHAR(3)", ["abc"], "columns.text(3)"),
    ("VARCHAR(3)", ["abcd"], "columns.text()"),
    ("TEXT", [b"x"], None),
    ("TEXT COLLATE NOCASE", ["x"], None),
    ("TEXT COLLATE RTRIM", [], None),
    ("INTEGER", [1], "sa.BigInteger"),
    ("INTEGER", ["x"], None),
    ("REAL", [1], "sa.Double"),
    ("REAL", ["x"], None),
    ("BLOB", [b"x"], "sa.LargeBinary"),
    ("BLOB", ["x"], None),
    ("JSON", ["{}"], None),
    ("", [1], None),
]


@pytest.mark.parametrize(("type_", "values", "form"), COLUMNS)
def test_a_column_is_declared_by_what_it_holds(tmp_path: Path, type_: str, values: list[Any], form: str | None) -> None:
    path = tmp_path / "other.db"
    db = apsw.Connection(str(path))
    db.execute(f'create table t (id text primary key, "the column" {type_})')
    db.executemany("insert into t values (null, ?)", [(value,) for value in (*values, None)])
    db.close()
    column = sqlite.find(path).tables[0].columns[1]
    assert column.forms == (() if form is None else (form,))
    assert (column.problem is None) == (form is not None)

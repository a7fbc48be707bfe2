"""What a caller's SQL text may answer with, and what it may make the database prepare."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import InvalidQuery
from database.core.errors import TransactionError
from database.core.errors import UnreadableRecord
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Sql
from database.core.operations import Update
from database.core.query.filters import Where
from database.sql.texts.limited import MAX_BYTES
from database.sql.texts.limited import MAX_ROWS
from tests.integration.callers_sql.world import SIGNED_IN
from tests.integration.callers_sql.world import World

DIGITS = "(values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
SEVERAL = f"from {DIGITS} as a, {DIGITS} as b, {DIGITS} as c, {DIGITS} as d"
LARGE = MAX_BYTES // 16


def asked(adapter: DatabaseAdapter, text: str) -> Any:
    with acting_as(SIGNED_IN):
        return adapter.execute_query(text)


def enlarge(adapter: DatabaseAdapter) -> None:
    with as_application():
        adapter.run(Update("molecules", {"name": "x" * LARGE}, where=Where("id", "is_null", False)))


def test_as_many_rows_as_are_allowed_are_answered(world: World) -> None:
    assert len(asked(world.adapter, f"select 1 as n {SEVERAL}")) == MAX_ROWS
    with pytest.raises(InvalidQuery, match="at most 10,000 rows"):
        asked(world.adapter, f"select 1 as n {SEVERAL}, (values (1), (2)) as e")
    assert asked(world.adapter, "select id, name from molecules where name = 'none'") == []


@pytest.mark.parametrize("within", ["", "transaction", "batch"])
def test_more_rows_are_refused(world: World, within: str) -> None:
    # No end of them would come in any time or memory.
    text = f"select 1 as n {SEVERAL}, {DIGITS} as e, {DIGITS} as f, {DIGITS} as g, {DIGITS} as h"
    with acting_as(SIGNED_IN), pytest.raises(InvalidQuery, match="at most 10,000 rows and 8 MiB"):  # noqa: PT012
        if within == "batch":
            world.adapter.execute_batch([text])
        elif within:
            with world.adapter.transaction():
                world.adapter.execute_query(text)
        else:
            world.adapter.execute_query(text)
    assert len(asked(world.adapter, "select id from molecules")) == 2


def test_larger_rows_are_refused(world: World) -> None:
    enlarge(world.adapter)
    text = f"select name from molecules, {DIGITS} as a order by 1"
    assert len(asked(world.adapter, f"{text} limit 14")) == 14
    with pytest.raises(InvalidQuery, match="8 MiB"):
        asked(world.adapter, text)


def test_a_change_whose_answer_is_too_large_is_undone(world: World) -> None:
    enlarge(world.adapter)
    many = ", ".join(f"name as name{number}" for number in range(9))
    for text in (
        f"update molecules set formula = 'changed' returning {many}",
        f"delete from molecules returning {many}",
    ):
        with pytest.raises(InvalidQuery, match="8 MiB"):
            asked(world.adapter, text)
    assert asked(world.adapter, "select id, formula from molecules order by id") == [
        {"id": "m1", "formula": None},
        {"id": "m2", "formula": None},
    ]


def test_a_transaction_is_over_with_it(world: World) -> None:
    enlarge(world.adapter)
    many = ", ".join(f"name as name{number}" for number in range(9))
    with acting_as(SIGNED_IN), pytest.raises(TransactionError), world.adapter.transaction():  # noqa: PT012
        with pytest.raises(InvalidQuery, match="8 MiB"):
            world.adapter.execute_query(f"update molecules set formula = 'changed' returning {many}")
        world.adapter.execute_query("select 1 as n")
    assert len(asked(world.adapter, "select id from molecules where formula = 'changed'")) == 0


def test_changes_tell_rows_and_numbers(world: World) -> None:
    assert asked(world.adapter, "update molecules set name = 'x' where id = 'm1' returning id, name") == [
        {"id": "m1", "name": "x"}
    ]
    assert asked(world.adapter, "update molecules set name = 'x' where id = 'none' returning id") == []
    assert asked(world.adapter, "update molecules set name = 'y'") == 2
    assert asked(world.adapter, "delete from molecules where id = 'm2'") == 1


def test_what_the_database_refuses_while_it_answers_is_the_callers_fault(world: World) -> None:
    if isinstance(world.adapter, SQLiteAdapter):
        return
    for text in (
        "select cast(name as uuid) as u from molecules",
        "select 1 / (a.n - 9) as n from (values (1), (9)) as a(n)",
    ):
        with pytest.raises(InvalidQuery, match="PostgreSQL refused"):
            asked(world.adapter, text)


def test_a_value_that_python_has_not_is_named(world: World) -> None:
    if isinstance(world.adapter, SQLiteAdapter):
        return
    moments = "('2026-01-02'), ('infinity'), " + ", ".join(["('2026-01-03')"] * 500)
    with pytest.raises(UnreadableRecord, match="column 'moment'"):
        asked(world.adapter, f"select 1 as n, cast(v as timestamp) as moment from (values {moments}) as x(v)")
    assert len(asked(world.adapter, "select id from molecules")) == 2


def test_the_application_has_all_its_rows(world: World) -> None:
    with as_application():
        found = world.adapter.run(Sql(f"select 1 as n {SEVERAL}, (values (1), (2)) as e"))
    assert len(found.rows) == 2 * MAX_ROWS


def test_what_becomes_too_large_is_refused_before_the_database_is_asked(world: World) -> None:
    text = "select name as v from molecules"
    for level in range(14):
        text = f"select v || v || v || v as v from ({text}) as x{level}"
    with pytest.raises(InvalidQuery, match="20,000 parts"):
        asked(world.adapter, f"select length(v) as n from ({text}) as x")


def test_no_value_on_sqlite_is_larger_than_64_mib(world: World) -> None:
    if not isinstance(world.adapter, SQLiteAdapter):
        return
    with as_application():
        world.adapter.run(Insert("molecules", [{"id": "large", "name": "x" * (63 << 20)}]))
        assert len(world.adapter.run(Sql("select name from molecules where id = 'large'")).rows[0]["name"]) == 63 << 20
        for text in (
            "select length(name || name) as n from molecules where id = 'large'",
            "update molecules set name = name || name where id = 'large'",
            "select length(zeroblob(100000000)) as n",
        ):
            with pytest.raises(InvalidQuery, match="larger than 64 MiB"):
                world.adapter.run(Sql(text))
        with pytest.raises(InvalidQuery, match="larger than 64 MiB"):
            world.adapter.run(Insert("molecules", [{"id": "larger", "name": "x" * (65 << 20)}]))
        world.adapter.run(Delete("molecules", where=Where("id", "eq", "large")))


def test_a_view_shows_values_that_json_has_not(world: World) -> None:
    text = "select sum(version) as s, avg(version) as a from molecules"
    if not isinstance(world.adapter, SQLiteAdapter):
        text = text.replace(
            " from",
            ", cast('2026-01-02' as date) as d, cast('2026-01-02 03:04:05' as timestamp) as t,"
            " cast('2026-01-02' as date) - cast('2026-01-01' as date) as days,"
            " cast('2026-01-02 03:04:05' as timestamp) - cast('2026-01-01 00:00:00' as timestamp) as i from",
        )
    answer = world.site.get("/ask", query_string={"asked": orjson.dumps({"text": text, "within": "", "params": None})})
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert {"s": 2, "a": 1}.items() <= answer.json[0].items()
    if not isinstance(world.adapter, SQLiteAdapter):
        assert answer.json[0]["i"] == "P1DT11045S"
        assert answer.json[0]["d"] == "2026-01-02"
        assert answer.json[0]["t"] == "2026-01-02T03:04:05.000000"

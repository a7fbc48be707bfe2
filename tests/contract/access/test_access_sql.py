"""SQL text of callers: narrowed if it is translated, otherwise checked by the server or refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Insert
from database.core.operations import Sql
from tests.contract.backends import Backend
from tests.contract.callers import ADA
from tests.contract.callers import begin_diaries
from tests.contract.callers import written
from tests.contract.tables import thing


@pytest.fixture
def adapter(calm: DatabaseAdapter) -> DatabaseAdapter:
    """Ada has two entries in her diary, Bob has one."""
    begin_diaries(calm)
    return calm


STATEMENTS = {
    "select": "select id from diaries order by id",
    "by id": "select id from diaries where id = 'b1' or id = 'a1'",
    "count": "select count(*) as n from diaries",
    "update": "update diaries set title = 'x' where id in ('a1', 'b1') returning id",
    "delete": "delete from diaries returning id",
}
ANSWERS: dict[str, list[Any]] = {
    "select": [{"id": "a1"}, {"id": "a2"}],
    "by id": [{"id": "a1"}],
    "count": [{"n": 2}],
    "update": [{"id": "a1"}],
    "delete": [{"id": "a1"}, {"id": "a2"}],
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_sql_text_of_a_caller_is_narrowed_or_refused(
    backend: Backend, adapter: DatabaseAdapter, statement: str
) -> None:
    native = backend.case.capabilities.sql == "native" and not backend.case.capabilities.row_security
    before = written(adapter)
    with acting_as(ADA):
        if native:
            with pytest.raises(Unsupported, match="as_application") as refused:
                adapter.execute_query(STATEMENTS[statement])
            assert refused.value.capability == "row_security"
        else:
            found = adapter.execute_query(STATEMENTS[statement])
            assert sorted(found, key=str) == ANSWERS[statement]
    assert [row for row in written(adapter) if row["id"] == "b1"] == [row for row in before if row["id"] == "b1"]


def test_sql_text_inside_a_batch(backend: Backend, adapter: DatabaseAdapter) -> None:
    queries = ["select id from things", STATEMENTS["count"]]
    with acting_as(ADA):
        if backend.case.capabilities.sql == "native" and not backend.case.capabilities.row_security:
            with pytest.raises(Unsupported):
                adapter.execute_batch(queries)
        else:
            assert adapter.execute_batch(queries) == [[], [{"n": 2}]]


def test_sql_text_on_what_is_open_to_the_caller_is_run(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("t", rank=3)]))
    with acting_as(ANONYMOUS):
        found = adapter.execute_query("select id, rank from things where rank = %s", [3])
        assert found == [{"id": "t", "rank": 3}]
    with acting_as(ADA):
        assert adapter.execute_query("update things set rank = :rank where id = :id", {"rank": 4, "id": "t"}) == 1


@pytest.mark.parametrize(
    "statement", ["update prices set amount = 2", "delete from prices", "select amount from prices"]
)
def test_sql_text_on_what_is_closed_to_the_caller_does_nothing(
    backend: Backend, calm: DatabaseAdapter, statement: str
) -> None:
    calm.run(Insert("prices", [{"id": "p", "amount": 1}]))
    with acting_as(ADA):
        if _server_judges_text(backend):
            # To a policy, a row that is closed is not there.
            assert calm.execute_query(statement) in ([], 0)
        else:
            with pytest.raises(PermissionDenied):
                calm.execute_query(statement)
    assert calm.get("prices", "p", ("amount",)) == {"amount": 1}


def test_sql_text_of_the_application_is_run(adapter: DatabaseAdapter) -> None:
    with acting_as(SERVICE):
        assert adapter.execute_query(STATEMENTS["count"]) == [{"n": 3}]


def _server_judges_text(backend: Backend) -> bool:
    return backend.case.capabilities.sql == "native" and backend.case.capabilities.row_security


def _sql(text: str) -> Callable[[DatabaseAdapter], object]:
    return lambda adapter: adapter.run(Sql(text))


_HIDDEN = _sql("with b as (select 1) delete from diaries")


@pytest.mark.parametrize(
    "attempt", [_sql("select * from diaries; delete from diaries"), _HIDDEN], ids=["two", "hidden"]
)
def test_nothing_is_smuggled_in(
    backend: Backend, adapter: DatabaseAdapter, attempt: Callable[[DatabaseAdapter], object]
) -> None:
    before = written(adapter)
    hidden = _server_judges_text(backend) and attempt is _HIDDEN
    with acting_as(ADA), nullcontext() if hidden else pytest.raises((InvalidQuery, Unsupported)):
        attempt(adapter)
    assert [row for row in before if row["id"] == "b1"] == [row for row in written(adapter) if row["id"] == "b1"]

"""Plain SQL is run in a caller's name, as one statement; the application's own leaves nothing for the next request."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Sql
from tests.integration.callers_sql.texts import POSITIVE
from tests.integration.callers_sql.world import MOLECULES
from tests.integration.callers_sql.world import SIGNED_IN
from tests.integration.callers_sql.world import WAYS
from tests.integration.callers_sql.world import Way
from tests.integration.callers_sql.world import World
from tests.integration.callers_sql.world import unguarded


@pytest.mark.parametrize(("statement", "expected"), POSITIVE)
def test_plain_statements_are_run(world: World, statement: str, expected: list[Any]) -> None:
    with acting_as(SIGNED_IN):
        rows = world.adapter.execute_query(statement)
    assert [next(iter(row.values())) for row in rows] == expected


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_plain_statements_are_run_in_every_way(world: World, way: Way) -> None:
    told = world.ask("select name from molecules where id = 'm1' or name = 'x''y'", way)
    assert not told.refused
    assert "water" in told.text
    assert "ice" not in told.text


def test_an_own_row_is_read_and_changed_where_the_server_judges(world: World) -> None:
    if not isinstance(world.adapter, SupabaseDirectAdapter):
        return
    with acting_as(SIGNED_IN):
        assert world.adapter.execute_query("update letters set name = name || '!' returning id, name") == [
            {"id": "a1", "name": "mine!"}
        ]
        assert world.adapter.execute_query("select count(*) as n from letters") == [{"n": 1}]


def test_internal_tables_are_closed_whatever_the_server_says(world: World) -> None:
    with unguarded(world, "isthmus_users"), acting_as(SIGNED_IN):
        for text in ("select * from isthmus_private.isthmus_users", "delete from isthmus_private.isthmus_users"):
            with pytest.raises(Unsupported, match="is not a declared table"):
                world.adapter.execute_query(text)
        for text in ("select * from isthmus_users", "update isthmus_users set role = 'x'", "delete from isthmus_users"):
            with pytest.raises(PermissionDenied, match="only to: nobody"):
                world.adapter.execute_query(text)


def test_the_database_takes_one_statement(world: World) -> None:
    with as_application():
        with pytest.raises(DataError):
            world.adapter.run(Sql("delete from molecules where id = 'm1'; delete from molecules"))
        assert world.adapter.execute_query("select id, name from molecules order by id") == MOLECULES


def test_plain_changes_are_made(world: World) -> None:
    insert = (
        "insert into molecules (id, name, created_at, updated_at, version)"
        " select ?, ?, created_at, updated_at, 1 from molecules where id = 'm1'"
    )
    with acting_as(SIGNED_IN):
        run = world.adapter.execute_query
        assert run(insert, ["m3", "it's -- 5 % ; \\"]) == 1
        renamed = run("update molecules set name = name || '?' where id = %s returning name", ["m3"])
        assert renamed == [{"name": "it's -- 5 % ; \\?"}]
        assert run("delete from molecules where id = :id", {"id": "m3"}) == 1


@pytest.mark.parametrize("params", [[{"a": 1}], [["a"]], [2**70], [True], [None], ["\0"], ["\ud800"], {}, [], [1, 2]])
def test_odd_parameters_are_taken_or_refused(world: World, params: Any) -> None:
    with acting_as(SIGNED_IN), suppress(InvalidQuery):
        assert world.adapter.execute_query("select id from molecules where name = ?", params) == []


LEAVING = [
    "set role anon",
    "SET search_path = pg_catalog",
    "set statement_timeout = 7",
    "/* x */ set session authorization anon",
    "-- x\nset work_mem = '1MB'",
    "select set_config('request.jwt.claims', 'x', false)",
    "create temp table left_here (x text)",
    "create table pg_temp.left_here (x text)",
    "prepare left_here as select 1",
    "listen left_here",
    "select pg_advisory_lock(7)",
    "do $$ begin set work_mem = '1MB'; end $$",
    "declare left_here cursor with hold for select 1",
]


@pytest.mark.parametrize("in_transaction", [False, True])
def test_the_application_leaves_nothing_for_the_next_request(world: World, in_transaction: bool) -> None:
    if not isinstance(world.adapter, PostgresAdapter):
        return
    _, *before = world.left_behind()
    with as_application():
        for text in LEAVING:
            try:
                _inside(world.adapter, text) if in_transaction else world.adapter.execute_query(text)
            except DataError as error:
                # It ended the transaction that it was in.
                assert "commit" in text, error  # noqa: PT017
            assert world.left_behind()[1:] == before, text


def _inside(adapter: DatabaseAdapter, text: str) -> Any:
    with adapter.transaction():
        return adapter.execute_query(text)


def test_an_update_over_several_lines_keeps_its_connection(world: World) -> None:
    before = world.left_behind()
    with as_application():
        world.adapter.execute_query("update molecules\n   set name = 'x'\n where id = 'm1'")
    assert world.left_behind() == before

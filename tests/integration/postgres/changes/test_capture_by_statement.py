"""What is logged of statements that change many rows, and of tables whose changes a statement trigger would miss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Final

import psycopg
import pytest
import sqlalchemy as sa

from database.backends.postgres import PostgresAdapter
from database.columns import text
from database.schema.migrations.capture import install as capture
from database.schema.sqlalchemy_engine import connected
from tests.contract.following import in_pages
from tests.contract.following import told
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase

MANY: Final = 130
"""More rows than two entries of the log have."""

TABLES: Final = """
create table sheets (id text primary key, body text, parent text references sheets on delete cascade);
create table numbers (id bigint primary key deferrable, body text);
create table pairs ("left" text, "right" integer, body text, primary key ("left", "right"));
create table regions (id text, region text, primary key (id, region)) partition by list (region);
create table regions_of_the_north partition of regions for values in ('north');
create table regions_of_the_south partition of regions for values in ('south');
create table elders (id text primary key, body text);
create table heirs (primary key (id)) inherits (elders);
create table lists (id text primary key, body text);
create function shorten() returns trigger language plpgsql as
$$ begin update lists set body = 'short' where id = new.id; delete from lists where body = 'short'; return null; end $$;
create trigger shorten after insert on lists for each row execute function shorten();
"""

_METADATA: Final = sa.MetaData()


def _table(name: str, *key: sa.Column[Any]) -> sa.Table:
    return sa.Table(name, _METADATA, *key, sa.Column("body", text()))


for _name in ("sheets", "elders", "heirs", "lists"):
    _table(_name, sa.Column("id", text(255), primary_key=True))
_table("numbers", sa.Column("id", sa.BigInteger, primary_key=True))
_table("pairs", sa.Column("left", text(255), primary_key=True), sa.Column("right", sa.Integer, primary_key=True))
_table("regions", sa.Column("id", text(255), primary_key=True), sa.Column("region", text(255), primary_key=True))


def _region(number: int) -> str:
    return f"{number},{'south' if number % 2 else 'north'}"


# By table: its columns, what to insert for a number, and the address of that record.
KINDS: Final[dict[str, tuple[str, str, Callable[[int], str]]]] = {
    "sheets": ("id, body", "lpad(n::text, 3, '0'), ''", "{:03}".format),
    "numbers": ("id, body", "n, ''", str),
    "pairs": ('"left", "right", body', "'a,b', n, ''", "a~2b,{}".format),
    "regions": ("id, region", "n::text, case n % 2 when 0 then 'north' else 'south' end", _region),
}


@pytest.fixture
def adapter(make: Make, postgres_database: PostgresDatabase) -> PostgresAdapter:
    """An adapter to a database with these tables."""
    postgres_database.execute(TABLES)
    made = make(postgres_database)
    _install(made)
    return made


def _install(adapter: PostgresAdapter) -> None:
    with connected(adapter, writes=True) as connection:
        capture.apply(connection, _METADATA.sorted_tables)


@pytest.fixture
def run(postgres_database: PostgresDatabase, adapter: PostgresAdapter) -> Callable[..., list[tuple[str, str]]]:
    """Runs statements as another program does, in one transaction; returns what the feed tells of them."""

    def run(*statements: str) -> list[tuple[str, str]]:
        start = adapter.changes().cursor
        with psycopg.connect(postgres_database.dsn) as connection:
            for statement in statements:
                connection.execute(statement)
        return told(adapter, start)

    return run


Run = Callable[..., list[tuple[str, str]]]


def _insert(table: str, number: int = MANY) -> str:
    columns, values, _ = KINDS[table]
    return f"insert into {table} ({columns}) select {values} from generate_series(1, {number}) as n"


def _ids(table: str, number: int = MANY) -> list[str]:
    return [KINDS[table][2](n) for n in range(1, number + 1)]


@pytest.mark.parametrize("table", KINDS)
def test_every_row_of_a_statement_is_told_once(run: Run, table: str) -> None:
    column = "region = region" if table == "regions" else "body = 'new'"
    for number in (1, 50, 51, MANY):
        ids = sorted(_ids(table, number))
        assert sorted(run(_insert(table, number))) == [("insert", one) for one in ids]
        changed = [] if table == "regions" else [("update", one) for one in ids]
        assert sorted(run(f"update {table} set {column}")) == changed
        assert run(f"update {table} set {column}", f"update {table} set {column} where false") == []
        assert sorted(run(f"delete from {table}", f"delete from {table}")) == [("delete", one) for one in ids]


def test_pages_may_end_within_a_statement(adapter: PostgresAdapter, run: Run) -> None:
    start = adapter.changes().cursor
    run(_insert("sheets"), "update sheets set body = 'new' where id <= '060'", "delete from sheets where id = '001'")
    found, cursor = in_pages(adapter, start, 7)
    ids = _ids("sheets")
    assert [change.id for change in found] == [*ids, *ids[:60], "001"]
    assert adapter.changes(cursor).changes == ()


def test_what_a_statement_leaves_as_it_was_is_no_change(run: Run) -> None:
    run(_insert("sheets"))
    kept = run("update sheets set body = case when id > '100' then 'new' else body end")
    assert kept == [("update", f"{n:03}") for n in range(101, MANY + 1)]
    assert run("update sheets set body = case when id > '128' then 'newer' else body end where id > '120'") == [
        ("update", "129"),
        ("update", "130"),
    ]


@pytest.mark.parametrize(
    ("table", "column", "later"),
    [
        ("sheets", "id = 'x' || id", "x{:03}".format),
        ("numbers", "id = -id", "-{}".format),
        ("pairs", '"right" = -"right"', "a~2b,-{}".format),
    ],
)
def test_other_keys_are_deletions_and_then_insertions(
    run: Run, table: str, column: str, later: Callable[[int], str]
) -> None:
    for number in (3, MANY):
        run(f"delete from {table}", _insert(table, number))
        found = run(f"update {table} set {column}, body = 'new'")
        gone = sorted(("delete", one) for one in _ids(table, number))
        assert sorted(found[:number]) == gone
        assert sorted(found[number:]) == sorted(("insert", later(n)) for n in range(1, number + 1))


def test_keys_that_are_exchanged_are_updates(run: Run) -> None:
    run("insert into numbers values (1, 'a'), (2, 'b')")
    assert sorted(run("set constraints all deferred", "update numbers set id = 3 - id")) == [
        ("update", "1"),
        ("update", "2"),
    ]


def test_one_statement_may_do_several_things(run: Run) -> None:
    run(_insert("numbers", 4))
    conflict = "insert into numbers values (4, 'x'), (5, 'y') on conflict (id) do update set body = excluded.body"
    # A deferrable key is no target of a conflict.
    run("alter table numbers drop constraint numbers_pkey", "alter table numbers add primary key (id)")
    assert sorted(run(conflict)) == [("insert", "5"), ("update", "4")]
    merge = """
    merge into numbers using (values (1), (2), (9)) as given (id) on numbers.id = given.id
    when matched and given.id = 1 then delete when matched then update set body = 'merged'
    when not matched then insert values (given.id, 'merged')"""
    assert sorted(run(merge)) == [("delete", "1"), ("insert", "9"), ("update", "2")]
    both = "with gone as (delete from numbers where id = 2 returning id) insert into numbers select id, '' from gone"
    assert run(both) == [("delete", "2"), ("insert", "2")]


def test_a_deletion_takes_what_refers_to_the_record_with_it(run: Run) -> None:
    run(
        "insert into sheets (id) values ('top')",
        _insert("sheets"),
        "update sheets set parent = 'top' where id <> 'top'",
    )
    assert sorted(run("delete from sheets where id = 'top'")) == [
        *(("delete", one) for one in _ids("sheets")),
        ("delete", "top"),
    ]


def test_what_is_written_to_a_partition_is_told(run: Run) -> None:
    assert run("insert into regions_of_the_north values ('a', 'north')") == [("insert", "a,north")]
    assert run("update regions set region = 'south'") == [("delete", "a,north"), ("insert", "a,south")]
    assert run(
        "create table east partition of regions for values in ('east')", "insert into east values ('b', 'east')"
    ) == [("insert", "b,east")]
    assert run("delete from regions_of_the_south") == [("delete", "a,south")]


def test_what_is_written_to_an_heir_by_way_of_its_parent_is_told(adapter: PostgresAdapter, run: Run) -> None:
    run("insert into elders values ('a', '')", "insert into heirs values ('b', '')")
    start = adapter.changes().cursor
    run("update elders set body = 'new'")
    found = {(change.table, change.kind, change.id) for change in adapter.changes(start).changes}
    assert found == {("elders", "update", "a"), ("heirs", "update", "b")}


def test_another_key_of_a_row_that_is_captured_alone_is_a_deletion_and_an_insertion(run: Run) -> None:
    run("insert into elders values ('a', '')")
    assert run("update elders set id = 'b'") == [("delete", "a"), ("insert", "b")]


def test_what_another_trigger_makes_of_a_row_comes_after_it(run: Run) -> None:
    assert run("insert into lists values ('a', '')") == [("insert", "a"), ("update", "a"), ("delete", "a")]


def test_what_is_replicated_is_not_told(run: Run) -> None:
    assert run("set session_replication_role = replica", _insert("sheets"), _insert("regions")) == []


def test_a_table_that_becomes_a_partition_needs_other_triggers(
    adapter: PostgresAdapter, postgres_database: PostgresDatabase, run: Run
) -> None:
    start = adapter.changes().cursor
    postgres_database.execute(
        "create table all_sheets (like sheets) partition by range (id);"
        "alter table all_sheets attach partition sheets for values from ('0') to ('9')"
    )
    line = "sheets: its triggers do not see all changes, because the table was changed after them"
    with connected(adapter, writes=False) as connection:
        assert capture.differences(connection, _METADATA.sorted_tables) == [line]
    _install(adapter)
    assert adapter.changes(start).gap
    assert run("insert into all_sheets (id) values ('1')") == [("insert", "1")]
    with connected(adapter, writes=False) as connection:
        assert capture.differences(connection, _METADATA.sorted_tables) == []


def test_a_log_of_a_former_version_is_made_anew(
    adapter: PostgresAdapter, postgres_database: PostgresDatabase, run: Run
) -> None:
    start = adapter.changes().cursor
    postgres_database.execute(
        "drop table isthmus_changes.entries;"
        "create table isthmus_changes.entries (seq bigint, table_name text, record_id text, kind text);"
        "drop trigger isthmus_capture_delete on sheets;"
        "create or replace trigger isthmus_capture after insert or delete on sheets"
        " for each row execute function isthmus_changes.capture('sheets');"
        "comment on schema isthmus_changes is 'log 1'"
    )
    _install(adapter)
    assert adapter.changes(start).gap
    assert run("insert into sheets (id) values ('a')", "delete from sheets") == [("insert", "a"), ("delete", "a")]

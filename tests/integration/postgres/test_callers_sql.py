"""A caller's SQL text on the databases that run SQL: nothing denied is read or changed, nothing is left behind."""

# ruff: noqa: E501  # lists of statements

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from config.tables import record_columns
from config.tables import text
from database.adapters.base import DatabaseAdapter
from database.adapters.postgres import PostgresAdapter
from database.adapters.postgres import SupabaseDirectAdapter
from database.adapters.sqlite import SQLiteAdapter
from database.core.context import NO_CONTEXT
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import DataError
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Sql
from database.core.query import Where
from database.core.schema import Schema
from tests.contract.backends import supabase_database
from tests.servers.postgres import PostgresServer

ADA = Identity("ada", "authenticated")
CANARY = "canary-7f3a"
OPEN = {"read": "anyone", "write": "user", "delete": "user"}

MOLECULES = [{"id": "m1", "name": "water"}, {"id": "m2", "name": "ice"}]

metadata = sa.MetaData()
sa.Table("molecules", metadata, *record_columns(), sa.Column("name", text()), info={"access": OPEN})
sa.Table("secrets", metadata, *record_columns(), sa.Column("name", text()), info={"access": {}})
SCHEMA = Schema.of(metadata)

POLICIES = """
alter table molecules enable row level security;
create policy everybody on molecules to anon, authenticated using (true) with check (true);
alter table secrets enable row level security;
create function leak() returns text language sql security definer as 'select name from secrets limit 1';
create function molecule_leak(molecules) returns text language sql security definer as 'select name from secrets';
"""

_ODD_STATEMENTS = """set role postgres;reset role;reset all;set session authorization postgres;discard all;discard temp
set search_path = secrets;set local role postgres;show role;begin;commit;rollback;savepoint s;table secrets;values (1)
create temp table t (x text);create temp table t as select * from secrets;create table t (x text);drop table secrets
alter table secrets disable row level security;truncate molecules;truncate secrets;copy secrets to stdout
copy secrets to program 'id';do 'begin perform 1; end';call leak();prepare p as select * from secrets;execute p
deallocate all;listen x;notify x, 'y';unlisten *;lock table molecules;explain analyze delete from molecules
explain select * from secrets;declare c cursor with hold for select * from secrets;fetch all from c;vacuum;analyze
merge into molecules using secrets on true when matched then delete;grant all on secrets to anon;checkpoint
pragma table_info(secrets);pragma writable_schema = 1;attach ':memory:' as x;detach main;reindex;import foreign schema x
comment on table secrets is 'x';refresh materialized view x;security label on table secrets is 'x';load 'x'"""
_VALUES = """leak();public.leak();molecule_leak(molecules);molecules.molecule_leak;(molecules).molecule_leak;current_user
current_setting('role');set_config('role', 'postgres', false);pg_sleep(5);pg_read_file('/etc/passwd');lo_import('/etc/passwd')
lo_create(0);pg_advisory_lock(1);pg_try_advisory_lock(1);query_to_xml('select * from secrets', true, true, '')
database_to_xml(true, true, '');table_to_xml('secrets', true, true, '');nextval('x');currval('x');dblink('', 'x')
pg_notify('x', 'y');version();repeat('x', 1000000000);lpad('x', 1000000000);printf('%1000000000d', 1);zeroblob(1000000000)
randomblob(1000000000);load_extension('x');readfile('/etc/passwd');sqlite_version();to_regclass('secrets')
'secrets'::regclass;cast('secrets' as regclass);pg_terminate_backend(1);pg_cancel_backend(1);pg_backend_pid()
has_table_privilege('secrets', 'select');row_to_json(molecules);xmlelement(name x);ts_stat('select name from secrets')
pg_relation_size('secrets');col_description(1, 1);txid_current();pg_export_snapshot();inet_server_addr();random()
U&'\\0061';E'\\x61';$$a$$;$tag$a$tag$;B'1';X'41';N'a';'a' 'b';array[1];row(1, 2);exists (table secrets)
'canary-7f3a' in secrets;1 in secrets;(1, 2) in secrets;'x' in main.secrets;'x' not in secrets
(select name from secrets);exists (select 1 from secrets where name like 'canary%');1 / (select count(*) from secrets)
(select count(*) from secrets);(with s as (select * from secrets) select name from s);(select max(s.name) from secrets s)"""
_SOURCES = """secrets;public.secrets;main.secrets;"secrets";[secrets];`secrets`;'secrets';SECRETS;only secrets;secrets *
pg_catalog.pg_authid;pg_authid;pg_settings;pg_class;pg_stat_activity;pg_shadow;information_schema.tables;sqlite_master
sqlite_schema;main.sqlite_master;sqlite_temp_master;pragma_table_info('secrets');pragma_database_list;temp.secrets
generate_series(1, 1000000000);json_each('[1]');leak();rows from (leak());lateral (select * from secrets) as s
unnest(array[1]);xmltable('/x' passing '<x/>' columns y text);json_table('[]', '$' columns (x int path '$'));dbstat
pg_temp.secrets;other.secrets;elsewhere.public.secrets;isthmus_users;notes;isthmus_changes;secrets tablesample system (100)
U&"secrets";(table secrets) as s;(select * from secrets) as s;(values (1)) as v, secrets;secrets for update;(secrets)
pg_ls_dir('/');query_to_xml('table secrets', true, true, '');regexp_split_to_table('a', 'b');sqlite_stmt;fts3tokenize"""
_FORMS = ("select * from {}", "select name from molecules union all select name from {}", "delete from {}")
_WHOLE = """select 1; select 2;select * into t from molecules;select molecules from molecules;select 1 /* /* */ from secrets */
with x as (delete from secrets returning name) select * from x;select * from molecules for update of secrets
with recursive x (n) as (select 1 union all select n + 1 from x) select count(*) from x
insert into molecules (id, version, name) select id, 1, name from secrets;update molecules set name = (select name from secrets)
update molecules set name = s.name from secrets as s;delete from molecules using secrets where secrets.name like 'c%'
insert into secrets (id, name) values ('x', 'y');insert or replace into secrets (id) values ('s');update secrets set name = 'x'
insert into molecules (id) values ('m') on conflict (id) do update set name = (select name from secrets)
update molecules set name = 'x' returning (select name from secrets);delete from molecules returning leak()"""


def _split(texts: str) -> list[str]:
    return [part for line in texts.splitlines() for part in line.split(";") if part]


ATTACKS: list[str] = [
    "select 1; reset role; select * from secrets",
    "select 1 -- \rfrom secrets",
    "select name from molecules /* /* */ union all select name from secrets -- */",
    "select name from molecules /* /* */ */ union all select name from secrets",
    "select name from molecules /* /* */ where id in (select id from secrets) /* */ */",
    "select 1\u2028from\u00a0secrets",
    *_split(_ODD_STATEMENTS),
    *[f"select 1; {statement}" for statement in _split(_ODD_STATEMENTS)],
    *[f"select {value} from molecules" for value in _split(_VALUES)],
    *[f"select id from molecules where {value} is not null" for value in _split(_VALUES)],
    *[form.format(source) for form, source in product(_FORMS, _split(_SOURCES))],
    *_split(_WHOLE),
]

POSITIVE: list[tuple[str, list[Any]]] = [
    (f"select {expression} as x from molecules where id = 'm1'", [value])
    for expression, value in [
        ("name", "water"), ("upper(name)", "WATER"), ("lower(name)", "water"), ("length(name)", 5),
        ("coalesce(null, name)", "water"), ("name || '!'", "water!"), ("substr(name, 1, 3)", "wat"), ("trim(name)", "water"),
        ("case when name = 'water' then 1 else 0 end", 1), ("cast(1 as integer)", 1), ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9),
        ("7 % 4", 3), ("abs(-2)", 2), ("nullif(name, 'water')", None), ("count(*)", 1), ("min(name)", "water"),
        ("max(name)", "water"), ("sum(2)", 2), ("'it''s'", "it's"), ("'-- no comment'", "-- no comment"), ("'é'", "é"),
        ("(select count(*) from molecules)", 2), ("count(distinct name)", 1), ("'from secrets'", "from secrets"),
    ]
] + [
    (f"select id from molecules where {condition} order by id", ids)
    for condition, ids in [
        ("name like 'w%'", ["m1"]), ("name in ('ice', 'water')", ["m1", "m2"]), ("name between 'a' and 'j'", ["m2"]),
        ("not name = 'ice'", ["m1"]), ("name is not null", ["m1", "m2"]), ("name <> 'ice' and id > 'm0'", ["m1"]),
        ("name = 'ice' or id = 'm1'", ["m1", "m2"]), ("exists (select 1 from molecules as o where o.id < molecules.id)", ["m2"]),
        ("id in (select id from molecules where name = 'ice')", ["m2"]),
    ]
] + [
    ("select m.id from molecules as m join molecules as o on o.id = m.id order by m.id desc", ["m2", "m1"]),
    ("with x as (select id from molecules) select id from x order by id limit 1 offset 1", ["m2"]),
    ("select id from molecules union select 'z' order by 1", ["m1", "m2", "z"]),
    ("select id from molecules except select 'm1'", ["m2"]),
    ("select name from molecules group by name having count(*) = 1 order by name", ["ice", "water"]),
    ("select row_number() over (order by id) as n from molecules order by n", [1, 2]),
    ("select \"id\" from \"molecules\" /* all */ order by id", ["m1", "m2"]),
    ("SELECT ID FROM Molecules m WHERE m.Name = 'ice'", ["m2"]),
]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgres", "supabase"])
def adapter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseAdapter]:
    made: DatabaseAdapter
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("callers") / "c.db"
        engine = sa.create_engine(f"sqlite:///{path}")
        metadata.create_all(engine)
        engine.dispose()
        made = SQLiteAdapter({"path": str(path), "synchronous": "normal"}, SCHEMA)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = supabase_database(server)
        database.create(metadata)
        kind = PostgresAdapter if request.param == "postgres" else SupabaseDirectAdapter
        made = kind({**asdict(database), "min_connections": 1, "max_connections": 1, "timeout": 20}, SCHEMA)
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute(POLICIES)
    yield made
    made.disconnect()


@pytest.fixture(autouse=True)
def _rows(adapter: DatabaseAdapter) -> None:
    _begin_anew(adapter, [{"id": "s", "name": CANARY}])


def _begin_anew(adapter: DatabaseAdapter, secrets: list[dict[str, str]]) -> None:
    """Ada may change molecules, and where the server judges, an attack may do so with the nothing that it reads."""
    for table, rows in (("molecules", MOLECULES), ("secrets", secrets)):
        adapter.run(Delete(table, where=Where("id", "is_null", False)))
        if rows:
            adapter.run(Insert(table, rows))


def _left_behind(adapter: DatabaseAdapter) -> list[tuple[Any, ...]]:
    """What a statement could leave on the one connection."""
    if not isinstance(adapter, PostgresAdapter):
        return []
    connection = adapter.backend._pool.acquire(NO_CONTEXT)
    try:
        found = connection.execute("select name, setting from pg_settings order by name").fetchall()
        found += connection.execute(
            "select current_user::text, session_user::text"
            " union all select relname::text, '' from pg_class where relnamespace = pg_my_temp_schema()"
            " union all select 'lock', objid::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
            " union all select 'listens', pg_listening_channels()"
            " union all select 'cursor', name from pg_cursors where is_holdable"
            " union all select name, '' from pg_prepared_statements where from_sql"
        ).fetchall()
        return list(found)
    finally:
        adapter.backend._pool.release(connection)


def _require_unharmed(adapter: DatabaseAdapter) -> None:
    """The secret is where it was, and nowhere else."""
    assert adapter.execute_query("select id, name from secrets") == [{"id": "s", "name": CANARY}]
    molecules = adapter.execute_query("select id, name from molecules order by id")
    assert CANARY not in repr(molecules)
    if not adapter.capabilities.row_security:
        assert molecules == MOLECULES


def _outcome(adapter: DatabaseAdapter, attack: str) -> str:
    try:
        with acting_as(ADA):
            return repr(adapter.execute_query(attack))
    except DataError as error:
        return f"{error} {error.__cause__}"


def test_attacks_read_and_change_nothing(adapter: DatabaseAdapter) -> None:
    assert len(set(ATTACKS)) >= 300
    before = _left_behind(adapter)
    for attack in ATTACKS:
        assert CANARY not in _outcome(adapter, attack).replace(attack, ""), attack
        assert _left_behind(adapter) == before, attack
    _require_unharmed(adapter)


def test_no_outcome_tells_the_secret(adapter: DatabaseAdapter) -> None:
    full = [_outcome(adapter, attack) for attack in ATTACKS]
    _begin_anew(adapter, [])
    assert [_outcome(adapter, attack) for attack in ATTACKS] == full


def test_attacks_in_transactions_and_batches(adapter: DatabaseAdapter) -> None:
    for attack in ATTACKS[::7]:
        with acting_as(ADA):
            for attempt in (lambda: adapter.execute_batch(["select 1 as x", attack]), lambda: _inside(adapter, attack)):  # noqa: B023
                try:
                    answer = repr(attempt())
                except DataError as error:
                    answer = f"{error} {error.__cause__}"
                assert CANARY not in answer.replace(attack, "")
    _require_unharmed(adapter)


def _inside(adapter: DatabaseAdapter, attack: str) -> Any:
    with adapter.transaction():
        return adapter.execute_query(attack)


@pytest.mark.parametrize(("statement", "expected"), POSITIVE)
def test_plain_statements_are_run(adapter: DatabaseAdapter, statement: str, expected: list[Any]) -> None:
    with acting_as(ADA):
        rows = adapter.execute_query(statement)
    assert [next(iter(row.values())) for row in rows] == expected


def test_the_database_takes_one_statement(adapter: DatabaseAdapter) -> None:
    with pytest.raises(DataError):
        adapter.run(Sql("delete from molecules where id = 'm1'; delete from molecules"))
    assert adapter.execute_query("select id, name from molecules order by id") == MOLECULES


def test_plain_changes_are_made(adapter: DatabaseAdapter) -> None:
    insert = "insert into molecules (id, name, created_at, updated_at, version) select ?, ?, created_at, updated_at, 1 from molecules where id = 'm1'"
    with acting_as(ADA):
        assert adapter.execute_query(insert, ["m3", "it's -- 5 % ; \\"]) == 1
        assert adapter.execute_query(
            "update molecules set name = name || '?' where id = %s returning name", ["m3"]
        ) == [{"name": "it's -- 5 % ; \\?"}]
        assert adapter.execute_query("delete from molecules where id = :id", {"id": "m3"}) == 1


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
def test_the_application_leaves_nothing_for_the_next_request(adapter: DatabaseAdapter, in_transaction: bool) -> None:
    if isinstance(adapter, SQLiteAdapter):
        return
    before = _left_behind(adapter)
    for text_ in LEAVING:
        try:
            _inside(adapter, text_) if in_transaction else adapter.execute_query(text_)
        except DataError as error:
            # It ended the transaction that it was in.
            assert "commit" in text_, error  # noqa: PT017
        assert _left_behind(adapter) == before, text_


def test_an_update_over_several_lines_keeps_its_connection(adapter: DatabaseAdapter) -> None:
    if isinstance(adapter, PostgresAdapter):
        first = adapter.execute_query("select pg_backend_pid() as pid")
        adapter.execute_query("update molecules\n   set name = 'x'\n where id = 'm1'")
        assert adapter.execute_query("select pg_backend_pid() as pid") == first

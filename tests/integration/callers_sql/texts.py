"""SQL texts that a caller might try, as data: attacks, and plain statements that are for callers."""

# ruff: noqa: E501  # lists of statements

from __future__ import annotations

import re
from itertools import product
from typing import Any
from typing import Final

from tests.integration.callers_sql.world import ADA
from tests.integration.callers_sql.world import BOB

HIDDEN: Final = ("secrets", "letters", "isthmus_users")
"""Tables that the attacks are about, each with ``id`` and ``name``: nobody's, each caller's own, and Isthmus' own."""

_UNNAMED: Final = ("isthmus_sessions", "isthmus_idempotency_keys", "isthmus_refresh_tokens")
"""More of Isthmus' own, which have other columns."""

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
isthmus_private.isthmus_users;isthmus.isthmus_commits;"isthmus_private"."isthmus_users"
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


_JOINED = """select m.id from molecules m join secrets on true;select m.id, s.name from molecules m left join secrets as s on s.id <> m.id
select * from molecules, secrets;select * from (molecules cross join secrets);select name from molecules natural join secrets
select id from molecules join secrets using (id);select m.id from molecules m, lateral (select name from secrets) as s
select m.id from molecules m join lateral (select s.name from secrets s) as s on true
select id from molecules where exists (select 1 from secrets s where s.name like 'canary%')
select m.id from molecules m where (select count(*) from secrets s where s.id <> m.id) > 0
select id from molecules where id not in (select id from secrets);select id from molecules order by (select max(name) from secrets)
select id from molecules order by (select name from secrets limit 1), id;select id from molecules limit (select count(*) from secrets)
select id from molecules limit 1 offset (select count(*) from secrets);select id from molecules group by (select name from secrets), id
select count(*) filter (where exists (select 1 from secrets)) from molecules;select (select s.name from secrets s where s.id > m.id limit 1) from molecules m
select sum(1) over (partition by (select count(*) from secrets)) from molecules;select id from molecules having (select count(*) from secrets) > 0
select name from molecules intersect select name from secrets;select name from molecules except all select name from secrets
select case when (select count(*) from secrets) > 0 then 1 / 0 else 1 end from molecules;values ((select name from secrets))
select coalesce((select name from secrets limit 1), 'x') from molecules;select name from only (secrets);select * from ((secrets))
with secrets as (select * from secrets) select * from secrets;with molecules as (select * from secrets) select * from molecules
with x as (select * from y), y as (select * from secrets) select * from x;with x (a, b) as (select id, name from secrets) select a, b from x
select * from (with x as (select name from secrets) select name from x) as y;with x as (table secrets) select * from x
select x.name from (select name from secrets) as x where x.name > 'a';with SECRETS as (select 1 as a) select * from public.secrets"""
_READ = """select count(*) from secrets;select 1 from secrets;select id, name from secrets order by name desc limit 1;select distinct name from secrets
select max(name), min(name), count(distinct name), sum(length(name)) from secrets;select id from secrets where name like 'canary%'
select id from secrets where name between 'canary' and 'canaryz';select s.* from secrets as s;select id from secrets where (id, name) > ('a', 'b')
select name from secrets for update;select id from secrets for share;select id from secrets for update skip locked;select id from secrets for update nowait
select id from molecules for update of secrets;select cast(name as int) from secrets;select name::int from secrets;select cast(name as timestamp) from secrets
select cast(name as uuid) from secrets;select cast(name as json) from secrets;select id from secrets where cast(name as int) = 1;select id from secrets order by cast(name as int)
select cast((select max(name) from secrets) as int) from molecules;select name::decimal from secrets where id <> 'a1';select 1 / length(name) from secrets
select 1 / (length(name) - 11) from secrets;select secrets from secrets;select s from secrets as s;select secrets is null from secrets;select (secrets) is not null from secrets
select secrets.* is not null from secrets;select (secrets).name from secrets;select (s.*).name from secrets s;select row(secrets.*) from secrets;select secrets::text from secrets
select cast(s.* as text) from secrets s;select count(s.*) from secrets s;select max(s) from secrets s;select 1 as s, s from secrets as s;select to_json(secrets) from secrets
select json_agg(secrets) from secrets;select array_agg(name) from secrets;select string_agg(name, ',') from secrets;select group_concat(name) from secrets
select json_group_array(name) from secrets;select array(select name from secrets);select hstore(secrets) from secrets;select (select s from secrets s limit 1)
select 1 as ctid, ctid from secrets;select 1 as xmin, xmin, 2 as tableoid, tableoid from secrets;select 1 as rowid, rowid from secrets;select max(rowid) from secrets
select "ctid", 1 as ctid from secrets;select name from "secrets";select name from public."secrets";select name from main."secrets";select name from "SECRETS"
select name from "Secrets";select name from U&"\\0073ecrets";select name from \u017fecrets;select name from secrets\u200b;select name from \uff53ecrets;select name from pg_catalog.secrets
select name from "public.secrets";select name from "public"."secrets" as "public";select name from temp.secrets;select name from secrets as molecules
select molecules.name from secrets as molecules, molecules as secrets;select name from secrets where true or name ilike '%';select name from secrets fetch first 1 row only
select name from secrets where name ~ '^c';select name from secrets where name similar to 'c%';select name from secrets where name glob 'c*';select name from secrets collate "C"
select name from secrets where rowid = 1;select name from secrets order by 1 offset 0 rows;select * from secrets union all table secrets;select name from secrets -- x
/* x */ select name /* y */ from /* z */ secrets;select id from secrets group by rollup (id);select name from secrets window w as (order by id)"""
_WRITE = """update secrets set name = 'x';update secrets set name = 'x' where name like 'canary%';update secrets set name = 'x' returning name
update secrets set name = name returning id, name;update secrets set id = 'z';update secrets set version = version + 1 where id <> 'a1'
update secrets set name = 'x' from molecules as m where m.id <> secrets.id;update secrets as s set name = s.name || 'x';update public.secrets set name = 'x'
update secrets set name = (select max(s.name) from secrets as s where s.id <> secrets.id);update secrets set (name, id) = ('x', 'y')
update secrets set name = 'x' returning old.name;update secrets set name = 'x' returning new.name;update secrets set name = cast(cast(name as int) as text)
update molecules set name = (select name from secrets limit 1);update molecules set name = s.name from secrets s where s.id <> molecules.id
update molecules set name = 'x' where exists (select 1 from secrets where name like 'c%') returning id;update or replace secrets set id = 'a1'
delete from secrets;delete from secrets returning name;delete from secrets where name like 'canary%' returning *;delete from only secrets
delete from secrets as s where s.id <> 'a1';delete from secrets using molecules as m where m.id <> secrets.id;delete from molecules where id in (select id from secrets)
delete from molecules using secrets as s where s.name like 'c%' returning s.name;delete from molecules returning (select name from secrets limit 1)
with x as (delete from secrets returning name) select * from x;with x as (update secrets set name = 'x' returning *) select count(*) from x
with x as (update secrets set name = name returning name) insert into molecules (id, name) select name, name from x
insert into molecules (id, name, created_at, updated_at, version) select 'm9', name, created_at, updated_at, 1 from secrets
insert into molecules (id, name, created_at, updated_at, version) values ('m9', (select max(name) from secrets), '2020-01-01', '2020-01-01', 1)
insert into molecules (id, name, created_at, updated_at, version) select id, name, created_at, updated_at, 1 from molecules on conflict (id) do update set name = (select max(name) from secrets)
insert into molecules (id, name, created_at, updated_at, version) select id, name, created_at, updated_at, 1 from molecules on conflict (id) do update set name = 'x' where exists (select 1 from secrets)
insert into secrets default values;insert into secrets (id, rowid) values ('z', 1);insert into secrets select * from secrets;insert into secrets (name) table secrets
replace into secrets (id, name) values ('z', 'x');insert or ignore into secrets (id) values ('z');insert or replace into secrets (id, rowid) values ('z', 1)
truncate only secrets;truncate molecules, secrets cascade;lock table secrets in access exclusive mode;copy (select * from secrets) to stdout
copy secrets (name) to '/tmp/x';copy molecules from program 'id';create view v as select * from secrets;create materialized view v as table secrets
create temp view v as select * from secrets;create table v (like secrets including all);create temp table v as table secrets;create index on secrets (name)
create rule r as on select to secrets do instead select 1;create trigger t before update on secrets for each row execute function leak()
create function f() returns text language sql as 'select name from secrets';create policy p on secrets using (true);alter table secrets no force row level security
alter table secrets rename to x;alter table secrets owner to current_user;drop table secrets cascade;drop policy isthmus_service on secrets
explain (analyze, verbose) select * from secrets;explain (format json) update secrets set name = 'x';explain query plan select * from secrets;explain verbose table secrets
declare c cursor for select * from secrets;declare c insensitive cursor with hold for table secrets;fetch 1 from c;move all in c;close all;prepare p (text) as update secrets set name = $1
execute p ('x');deallocate p
vacuum full secrets;analyze secrets;cluster secrets;reindex table secrets;vacuum into '/tmp/x';pragma table_list;pragma foreign_keys = off"""
_CALLS = """current_setting('request.jwt.claims');current_setting('is_superuser', true);set_config('role', 'service_role', true);set_config('row_security', 'off', true)
set_config('request.jwt.claims', '{"sub": "other"}', true);set_config('search_path', 'other', false);set_config('statement_timeout', '0', false)
pg_advisory_xact_lock(1);pg_try_advisory_lock_shared(1);pg_advisory_unlock_all();lo_export(1, '/tmp/x');lo_get(1);lo_from_bytea(0, '');lo_put(1, 0, '');lo_unlink(1);loread(1, 1)
dblink_connect('dbname=postgres');dblink_exec('x', 'delete from secrets');pg_read_binary_file('/etc/passwd');pg_stat_file('/etc/passwd');pg_ls_waldir();pg_logical_emit_message(true, 'x', 'y')
cursor_to_xml('c', 1, true, true, '');schema_to_xml('public', true, true, '');query_to_xmlschema('table secrets', true, true, '');pg_get_viewdef('v');pg_get_functiondef(1)
pg_input_is_valid('x', 'int');has_column_privilege('secrets', 'name', 'select');pg_total_relation_size('secrets');obj_description(1);row_security_active('secrets');pg_reload_conf()
pg_switch_wal();pg_create_restore_point('x');pg_promote();pg_rotate_logfile();pg_stat_reset();pg_stat_get_live_tuples(1);pg_column_size(name);pg_typeof(name);format('%s', name);quote_literal(name)
auth.uid();auth.jwt();isthmus_commit('{}');uuid(name);div(1, 0);if(true, 1, 2);iif(true, 1, 2);ifnull(name, 'x');json_extract_scalar(name, 'x');last_insert_rowid();changes();total_changes()
sqlite_source_id();sqlite_compileoption_used('x');writefile('x', 'y');edit('x');fts3_tokenizer('x');eval('select 1');sha3_query('select name from secrets');likelihood(1, 0.5);unicode(name);hex(name)
len(name);nvl(name, 'x');"Lower"(name);"lower"(name);"trim"(name);lcase(name);leak (name);pg_catalog.lower(name);"public"."leak"();(leak)();any_leak(name);any_leak(molecules);row_leak(molecules)
molecules.any_leak;(molecules).any_leak;1 as leak, molecules.leak;1 as molecule_leak, molecules.molecule_leak;name as any_leak, molecules.any_leak;user;current_role;system_user;session_user
1 as "user", user;1 as system_user, system_user;1 as current_role, current_role;1 as localtimestamp, localtimestamp;cast('x' as char(10000001));cast('secrets' as regclass)::oid;cast(name as secrets)
cast(name as "char");cast(name as xml);cast(name as name);cast('{1}' as int[]);name::text::regproc;timestamp '2020-01-01';interval '1 day';name collate "C";name at time zone 'utc';extract(epoch from created_at)
overlay(name placing 'x' from 1);position('x' in name);grouping(name);any (select name from secrets);all (array[1]);some (select 1);array(select 1);(select name from secrets) || name;name %s;name %(x)s;:x;@x;$1;?1"""
_SHAPES = """select 1 as any_leak, s.any_leak from (select name from molecules) as s;select 1 as row_leak, s.row_leak from (select name from molecules) as s
select s.name, s.title from (select name as title from molecules) as s;select molecules.title from molecules, letters;select s.row_to_json, 1 as row_to_json from (select id from molecules) as s
select molecules.molecule_leak from molecules where exists (with molecules as (select 1 as molecule_leak) select 1 from molecules)
with s as (select name from molecules) select s.any_leak, 1 as any_leak from s;select 1 as any_leak from (select name from molecules) as s order by s.any_leak
select v.any_leak from (values (1)) as v (a), (select 1 as any_leak) as w;insert into molecules (id, leak) values ('x', 'y')
select sqlite_master.sql from molecules as sqlite_master;select name from molecules where name in secrets;select name from molecules where name match 'x'
select * from sqlite_sequence;select * from sqlite_stat1;select * from pragma_table_list;select * from pragma_function_list;select * from json_tree('{}');select * from sqlite_dbpage
select * from pg_tables;select * from pg_policies;select * from pg_stats where tablename = 'secrets';select most_common_vals from pg_stats;select * from pg_locks;select * from pg_cursors
select * from pg_prepared_statements;select * from pg_largeobject;select * from information_schema.columns;select * from pg_catalog.pg_class where relname = 'secrets';select * from pg_temp.t;select * from auth.users
set local role service_role;set session characteristics as transaction isolation level read committed;set transaction read write;start transaction;commit and chain;rollback to savepoint isthmus_1;savepoint isthmus_1
release savepoint isthmus_1;prepare transaction 'x';commit prepared 'x';end;abort;set constraints all deferred;set session_replication_role = replica;reset session authorization;show all;show search_path;load 'auto_explain'
reassign owned by anon to authenticated;create role x;alter role anon superuser;grant postgres to authenticated;create extension dblink;create schema x;create database x;alter system set work_mem = '1'"""

_NEW: Final = "insert into letters (id, owner_id, name, created_at, updated_at, version)"
_NOW: Final = "'2020-01-01', '2020-01-01', 1"
_ANEW: Final = f"{_NEW} values ('b1', '{ADA}', 'x', {_NOW})"
_OWN = [
    f"update letters set owner_id = '{ADA}'", f"update letters set owner_id = '{ADA}' returning name",
    f"update letters set owner_id = '{BOB}'", f"update letters set owner_id = '{BOB}', name = 'x' where id = 'a1' returning name",
    f"{_NEW} values ('z', '{BOB}', 'x', {_NOW})", f"{_NEW} values ('z', '{BOB}', 'x', {_NOW}) returning name",
    f"{_NEW} select 'z', '{ADA}', name, {_NOW} from letters", f"{_NEW} select id || 'z', '{ADA}', name, {_NOW} from letters where owner_id <> '{ADA}' returning name",
    f"with x as (update letters set owner_id = '{ADA}' returning name) select name from x",
    f"with x as (delete from letters where owner_id = '{BOB}' returning name) select name from x",
    f"{_NEW} select id, owner_id, name, {_NOW} from letters on conflict (id) do update set owner_id = '{ADA}' returning name",
    f"select count(*) from letters where owner_id = '{BOB}'", "select owner_id, count(*) from letters group by owner_id",
    f"delete from letters where owner_id = '{BOB}'", f"select id from letters where owner_id = '{BOB}' for update",
]  # fmt: skip

TAKEN: Final[list[str]] = [
    _ANEW, f"{_ANEW} returning name", f"{_ANEW} on conflict do nothing", f"{_ANEW} on conflict (id) do nothing returning name",
    f"{_ANEW} on conflict (id) do update set name = excluded.name", f"{_ANEW} on conflict (id) do update set name = letters.name returning name",
    f"{_ANEW} on conflict (id) do update set name = cast(cast(letters.name as int) as text)", f"{_ANEW} on conflict (id) do update set id = letters.name",
    f"{_ANEW} on conflict (id) do update set owner_id = '{ADA}' returning name", f"{_ANEW} on conflict (id) do update set id = 'z', owner_id = '{ADA}'",
    f"{_ANEW} on conflict (id) do update set name = 'y' where letters.name like 'canary%'", f"{_ANEW} on conflict (id) do update set name = 'y' where letters.name like 'd%'",
    f"{_ANEW} on conflict (id) do update set name = 'y' where cast(letters.name as int) = 1", f"{_ANEW} on conflict (id) do update set name = 'y' where length(letters.name) > 5",
    f"{_ANEW} on conflict (id) where name like 'canary%' do nothing", f"{_ANEW} on conflict on constraint letters_pkey do update set name = letters.name",
    "update letters set id = 'b1' where id = 'a1'", "update letters set id = 'b1' where id = 'a1' returning name", f"insert or replace into letters (id, owner_id, name) values ('b1', '{ADA}', 'x')",
    f"with x as ({_ANEW} on conflict (id) do update set name = letters.name returning name) select name from x",
]  # fmt: skip
"""Texts that take the id of somebody else's row: that it is taken can be found out, and nothing of what is in it."""


def _split(texts: str) -> list[str]:
    return [part for line in texts.splitlines() for part in line.split(";") if part]


_ABOUT_SECRETS: list[str] = [
    "select 1; reset role; select * from secrets",
    "select * from secrets; commit; begin",
    "do $$ begin perform name from secrets; end $$",
    "do language plpgsql 'begin raise exception ''%'', (select max(name) from secrets); end'",
    "create trigger t after insert on secrets begin select 1; end",
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
    *_split(f"{_JOINED}\n{_READ}\n{_WRITE}\n{_SHAPES}"),
    *[f"select {value} from molecules" for value in _split(_CALLS)],
    *[f"select id from molecules where {value} is not null" for value in _split(_CALLS)],
]
ATTACKS: Final[list[str]] = list(
    dict.fromkeys(
        [re.sub(r"\bsecrets\b", table, text) for text in _ABOUT_SECRETS for table in HIDDEN]
        + [form.format(table) for form, table in product(_FORMS, _UNNAMED)]
        + _OWN
    )
)

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

-- The schema of the functions behind isthmus_commit and isthmus_groups. PostgREST exposes public only, so nobody
-- calls these over HTTP. All run with the rights of their caller: row level security decides, as for any query.
-- Isthmus' own tables are in isthmus_private, which only the service role may use: nobody else finds them here.

create schema if not exists isthmus;
grant usage on schema isthmus to anon, authenticated, service_role;

-- Who commits: the database role and the subject of the token.
create or replace function isthmus.caller() returns text
language sql stable
as $$
    select concat(current_user, ':', coalesce(
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub',
        nullif(current_setting('request.jwt.claim.sub', true), '')
    ))
$$;

-- The commits that were made, so that one that is sent again is not made again. They were in public before.
do $$
begin
    if to_regclass('isthmus.isthmus_commits') is null and exists (
        select from pg_catalog.pg_class
        where oid = to_regclass('public.isthmus_commits') and pg_catalog.pg_get_userbyid(relowner) = current_user
    ) then
        alter table public.isthmus_commits set schema isthmus;
    end if;
end
$$;
create table if not exists isthmus.isthmus_commits (
    key text primary key,
    fingerprint text not null,
    subject text not null,
    answer jsonb not null,
    created_at timestamptz not null default now()
);
create index if not exists ix_isthmus_commits_created_at on isthmus.isthmus_commits (created_at);

alter table isthmus.isthmus_commits enable row level security;
revoke all on table isthmus.isthmus_commits from public, anon, authenticated, service_role;
grant select, insert on table isthmus.isthmus_commits to anon, authenticated, service_role;
drop policy if exists isthmus_select on isthmus.isthmus_commits;
drop policy if exists isthmus_insert on isthmus.isthmus_commits;
-- In a sub-select, the caller is found out once a statement and not once a row.
create policy isthmus_select on isthmus.isthmus_commits for select
    to anon, authenticated, service_role using (subject = (select isthmus.caller()));
create policy isthmus_insert on isthmus.isthmus_commits for insert
    to anon, authenticated, service_role with check (subject = (select isthmus.caller()));

-- Delete the keys that are older than `keep`; how many they were.
create or replace function public.isthmus_purge(keep interval) returns bigint
language sql volatile security definer set search_path = ''
as $$
    with gone as (delete from isthmus.isthmus_commits where created_at < now() - keep returning 1)
    select count(*) from gone
$$;
revoke all on function public.isthmus_purge(interval) from public, anon, authenticated;
grant execute on function public.isthmus_purge(interval) to service_role;

-- A request as an object. Gateways written in JavaScript would round 64-bit integers, so it may come as JSON text.
create or replace function isthmus.parsed(request jsonb) returns jsonb
language sql immutable
as $$
    select case jsonb_typeof(request) when 'string' then (request #>> '{}')::jsonb else request end
$$;

create or replace function isthmus.refuse_malformed(what text) returns void
language plpgsql
as $$
begin
    raise exception using errcode = 'invalid_parameter_value', message = format('malformed request: %s', what);
end
$$;

create or replace function isthmus.refuse_stale(table_name text, record_id text) returns void
language plpgsql
as $$
begin
    raise exception using
        errcode = 'IS409',
        message = 'what the commit builds on has changed',
        detail = jsonb_build_object('table', table_name, 'id', record_id);
end
$$;

-- The table of that name in the exposed schema or, for the service, one of Isthmus' own; never one that keeps its books.
create or replace function isthmus.relation(table_name text) returns regclass
language plpgsql stable
as $$
declare
    found oid;
begin
    select pg_class.oid into found
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    where relname = table_name
        and (nspname = 'public' or nspname = 'isthmus_private' and has_schema_privilege(pg_namespace.oid, 'usage'))
        and relkind in ('r', 'p')
        and relname not in ('isthmus_commits', 'isthmus_version')
    -- A table of another program with the name of one of ours is not meant.
    order by nspname
    limit 1;
    if found is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'there is no such table',
            detail = jsonb_build_object('table', table_name);
    end if;
    return found;
end
$$;

-- The columns of a table's key, in its order.
create or replace function isthmus.key(table_name text) returns text[]
language sql stable
as $$
    select array(
        select attname::text
        from pg_catalog.pg_index, unnest(indkey) with ordinality as part (number, place), pg_catalog.pg_attribute
        where indrelid = isthmus.relation(table_name) and indisprimary and attrelid = indrelid and attnum = part.number
        order by part.place
    )
$$;

-- The key that a read or a step names: its columns and their values. An `id` is named by itself.
create or replace function isthmus.named(item jsonb) returns jsonb
language sql immutable
as $$
    select coalesce(nullif(item -> 'key', 'null'), jsonb_build_object('id', item -> 'id'))
$$;

-- Whether the records t and e of a table have the same key, as SQL.
create or replace function isthmus.same_key(table_name text) returns text
language sql stable
as $$
    select string_agg(format('t.%1$I = e.%1$I', name), ' and ') from unnest(isthmus.key(table_name)) as name
$$;

-- The qualified name of that table, as SQL.
create or replace function isthmus.place(table_name text) returns text
language sql stable
as $$
    select format('%I.%I', nspname, relname)
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = isthmus.relation(table_name)
$$;

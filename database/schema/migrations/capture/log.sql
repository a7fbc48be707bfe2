-- The log of changes, which triggers write and followers read in pages. It has a schema of its own, which no role
-- but the owner may use, and which PostgREST does not expose.

create schema if not exists isthmus_changes;

-- The log of a former version, all of whose cursors are invalid from now on.
do $$
begin
    if exists (
        select from pg_catalog.pg_attribute
        where attrelid = to_regclass('isthmus_changes.entries') and attname = 'record_id' and not attisdropped
    ) then
        drop table isthmus_changes.entries;
    end if;
end
$$;

-- An entry is of several records, at most 50, that one statement has changed. A change has the number 64 * seq + its place.
create table if not exists isthmus_changes.entries (
    seq bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    table_name text not null,
    kind text not null,
    record_ids text[] not null check (array_position(record_ids, null) is null),
    at timestamptz not null default clock_timestamp()
);
create index if not exists entries_xid on isthmus_changes.entries (xid);

-- What a cursor must belong to: one row, or none before the first follower comes. A cursor tells of transactions by
-- their numbers, and those of a moment before a crash, a promotion or a physical restore may be given once more. All
-- of these empty an unlogged table. What a dump brings back was not `written` by the transaction that wrote the row.
create unlogged table if not exists isthmus_changes.log (
    one boolean primary key default true check (one),
    id uuid not null default gen_random_uuid(),
    written xid8 not null default pg_current_xact_id(),
    -- The last transaction of which a purge has taken something.
    purged xid8
);

-- The identity of the log in this database; null if it has none.
create or replace function isthmus_changes.identity() returns text
language sql stable
as $$
    select replace(log.id::text, '-', '') || to_hex(pg_database.oid::bigint)
    from isthmus_changes.log, pg_catalog.pg_database
    where datname = current_database() and log.xmin::text = (written::text::numeric % 4294967296)::text
$$;

-- The text that stands for the key of a record: of one column its value, of several all values, joined by commas and
-- escaped.
create or replace function isthmus_changes.address(record jsonb, key text[]) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select case cardinality(key)
        when 1 then record ->> key[1]
        else string_agg(
            replace(replace(replace(record ->> name, '~', '~0'), '/', '~1'), ',', '~2'), ',' order by place
        )
    end
    from unnest(key) with ordinality as parts (name, place)
$$;

-- For each row that was changed. The arguments are the table's name and the columns of its key, if that is not `id`.
create or replace function isthmus_changes.capture() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    before text;
    after text;
begin
    if tg_nargs = 1 then
        if tg_op <> 'INSERT' then before := old.id; end if;
        if tg_op <> 'DELETE' then after := new.id; end if;
    else
        if tg_op <> 'INSERT' then before := isthmus_changes.address(to_jsonb(old), tg_argv[1:]); end if;
        if tg_op <> 'DELETE' then after := isthmus_changes.address(to_jsonb(new), tg_argv[1:]); end if;
    end if;
    if tg_op = 'INSERT' then
        insert into isthmus_changes.entries (table_name, record_ids, kind) values (tg_argv[0], array[after], 'insert');
    elsif tg_op = 'DELETE' then
        insert into isthmus_changes.entries (table_name, record_ids, kind) values (tg_argv[0], array[before], 'delete');
    elsif after = before then
        insert into isthmus_changes.entries (table_name, record_ids, kind) values (tg_argv[0], array[after], 'update');
    else
        insert into isthmus_changes.entries (table_name, record_ids, kind)
        values (tg_argv[0], array[before], 'delete'), (tg_argv[0], array[after], 'insert');
    end if;
    return null;
end
$$;

-- Before a row is changed by somebody who does not count its version: it is counted here, and the time is now, so that
-- whoever has read the row before knows that it is another one. A time that is a little ahead of the clock counts on, one
-- that is more than a day ahead is not believed. The argument says if the table has the time.
create or replace function isthmus_changes.touch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    -- Their bytes are compared: not every type has an equality.
    if new.version is not distinct from old.version and old *<> new then
        new.version := coalesce(old.version, 0) + 1;
        if tg_argv[0] = 'timed' then
            if new.updated_at is not distinct from old.updated_at then
                new.updated_at := case
                    when old.updated_at <= clock_timestamp() + interval '24 hours'
                        then greatest(clock_timestamp(), old.updated_at + interval '1 microsecond')
                    else clock_timestamp()
                end;
            end if;
        end if;
    end if;
    return new;
end
$$;

-- Before a table is truncated: all its rows are deleted.
create or replace function isthmus_changes.capture_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'insert into isthmus_changes.entries (table_name, kind, record_ids)'
        ' select $1, ''delete'', array_agg(isthmus_changes.address(record, $2))'
        ' from (select to_jsonb(t) as record, (row_number() over () - 1) / 50 as part from %s as t) as emptied'
        ' group by part',
        tg_relid::regclass
    ) using tg_argv[0], case when tg_nargs = 1 then array['id'] else tg_argv[1:] end;
    return null;
end
$$;

-- Forget what is older than `keep`; how many changes they were. A transaction that still runs may be in the way: as
-- long as it does, what is purged lies before all that a present cursor has not seen.
create or replace function isthmus_changes.purge(keep interval) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    number bigint;
    last bigint;
begin
    with gone as (
        delete from isthmus_changes.entries
        where at < now() - keep and xid < pg_snapshot_xmin(pg_current_snapshot())
        returning xid::text::bigint as xid, cardinality(record_ids) as size
    )
    select coalesce(sum(size), 0), max(xid) into number, last from gone;
    update isthmus_changes.log set purged = greatest(purged, last::text::xid8), written = pg_current_xact_id()
    where last is not null;
    return number;
end
$$;

-- Reading the log. Numbers of the sequence do not follow the order of commits, and neither do those of transactions,
-- so a cursor is a snapshot: what had ended by then was told. A page has changes of the window between that snapshot
-- and a later one, in the order of `seq`. Windows follow the order of commits, and within one the order of the
-- changes of a row is that of `seq`.
--
-- A cursor is identity/snapshot or, within a window, identity/its beginning/its end/the number of the last change that
-- was told.

-- The changes behind a cursor, at most that many; for null, the present end. The answer is
-- {"entries": [[table, kind, [id, ...]], ...], "cursor": ..., "more": ..., "gap": ...}, or {"standby": true}.
create or replace function isthmus_changes.read(after text, most integer) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- The snapshots of a standby do not know which transactions run, and would pass over them.
    if pg_is_in_recovery() then
        return '{"standby": true}';
    end if;
    if isthmus_changes.identity() is null then
        delete from isthmus_changes.log;
        insert into isthmus_changes.log default values on conflict do nothing;
    end if;
    return isthmus_changes.page(after, most);
end
$$;

create or replace function isthmus_changes.page(after text, most integer) returns jsonb
-- Stable: all of it sees the log at one moment, so that a purge comes before the page or after it.
language plpgsql stable
-- Within a window, go along the primary key, instead of sorting the rest of a large transaction for every page; and do
-- not compile for all the rest what a page needs the beginning of.
set enable_sort = off
set jit = off
as $$
declare
    identity constant text := isthmus_changes.identity();
    present constant pg_snapshot := pg_current_snapshot();
    since pg_snapshot;
    until pg_snapshot;
    passed bigint;
    running xid8[];
    entry record;
    entries jsonb[] := '{}';
    told integer := 0;
    more boolean := false;
begin
    select parts.since, coalesce(parts.until, present), parts.passed into since, until, passed
    from isthmus_changes.parts(after, identity) as parts;
    if since is null or pg_snapshot_xmax(until) > pg_snapshot_xmax(present) or exists (
        select from isthmus_changes.log where purged >= pg_snapshot_xmin(since)
    ) then
        return jsonb_build_object(
            'entries', '[]'::jsonb, 'cursor', concat_ws('/', identity, present),
            'more', false, 'gap', after is not null
        );
    end if;
    if passed is null and since::text <> until::text then
        running := array(select pg_snapshot_xip(since));
        -- Materialised, because the smallest would otherwise be looked for from the beginning of the log.
        with fresh as materialized (
            select seq from isthmus_changes.entries
            where (xid >= pg_snapshot_xmax(since) and xid < pg_snapshot_xmax(until) or xid = any (running))
                and pg_visible_in_snapshot(xid, until)
        )
        select 64 * min(seq) into passed from fresh;
    end if;
    if passed is null then
        return jsonb_build_object(
            'entries', '[]'::jsonb, 'cursor', concat_ws('/', identity, until),
            'more', until::text <> present::text, 'gap', false
        );
    end if;
    -- Entry by entry: to take each record by itself would cost several times as much.
    for entry in
        select seq, table_name, kind, record_ids, told_of, cardinality(record_ids) - told_of as size
        from isthmus_changes.entries cross join lateral (select greatest(passed - 64 * seq, 0)::integer) as _ (told_of)
        where seq >= passed / 64 and cardinality(record_ids) > told_of
            and not pg_visible_in_snapshot(xid, since) and pg_visible_in_snapshot(xid, until)
        order by seq
    loop
        more := told + entry.size > most;
        exit when told = most;
        if more or entry.told_of > 0 then
            entry.size := least(entry.size, most - told);
            entry.record_ids := entry.record_ids[entry.told_of + 1 : entry.told_of + entry.size];
        end if;
        entries := array_append(entries, jsonb_build_array(entry.table_name, entry.kind, entry.record_ids));
        told := told + entry.size;
        passed := 64 * entry.seq + entry.told_of + entry.size;
    end loop;
    return jsonb_build_object(
        'entries', to_jsonb(entries),
        'cursor', case when more then concat_ws('/', identity, since, until, passed)
            else concat_ws('/', identity, until) end,
        -- Behind a window that was begun some time ago there may be another one.
        'more', more or until::text <> present::text,
        'gap', false
    );
end
$$;

-- The parts of a cursor; nothing for none, and for one of another log.
create or replace function isthmus_changes.parts(after text, identity text)
returns table (since pg_snapshot, until pg_snapshot, passed bigint)
language plpgsql immutable
as $$
declare
    snapshot constant text := '[0-9]{1,18}:[0-9]{1,18}:([0-9]{1,18}(,[0-9]{1,18})*)?';
    given constant text[] := string_to_array(after, '/');
begin
    if after !~ format('^[0-9a-f]{33,40}/%1$s(/%1$s/[0-9]{1,18})?$', snapshot) then
        raise exception using errcode = 'invalid_parameter_value', message = 'this is no cursor of this feed';
    end if;
    if given[1] = identity then
        return query select given[2]::pg_snapshot, given[3]::pg_snapshot, given[4]::bigint;
    end if;
end
$$;

-- Closed to all but the owner.
revoke all on schema isthmus_changes from public;
revoke all on all tables in schema isthmus_changes from public;
revoke all on all functions in schema isthmus_changes from public;

-- Forget what is older than `keep`, but for what the followers with these cursors have not read; how many changes they
-- were. A cursor of another log is nobody's here.
create or replace function isthmus_changes.purge(keep interval, cursors text[]) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    identity constant text := isthmus_changes.identity();
    unread timestamptz;
begin
    with earliest as (
        select pg_snapshot_xmin(parts.since) as xid
        from unnest(cursors) as cursor
        cross join lateral isthmus_changes.parts(
            case when split_part(cursor, '/', 1) = identity then cursor end, identity
        ) as parts
        order by 1
        limit 1
    )
    select min(entries.at) into unread
    from isthmus_changes.entries
    join earliest on entries.xid >= earliest.xid;
    -- In seconds, because a day of an interval is not always 24 hours.
    return isthmus_changes.purge(greatest(keep, make_interval(secs => 1 + extract(epoch from now() - unread))));
end
$$;
revoke all on function isthmus_changes.purge(interval, text[]) from public;

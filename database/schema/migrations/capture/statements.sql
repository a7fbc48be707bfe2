-- Capturing the changes of whole statements, whose cost hardly depends on the number of rows. The rows stay locked until
-- the end of the transaction, so `seq` counts on in the order in which transactions change the same row. An update that
-- changes keys deletes those that are gone and inserts those that are new; what it leaves as it was is no change.

-- Whether the changes of a table have to be captured row by row: a statement trigger is not fired for what is written to
-- a partition or an heir by way of another table, and comes after all that other triggers make of the same rows.
create or replace function isthmus_changes.goes_by_row(relation oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select exists (select from pg_class where oid = relation and (relkind <> 'r' or relispartition))
        or exists (select from pg_inherits where relation in (inhrelid, inhparent))
        or exists (
            select from pg_trigger
            where tgrelid = relation and not tgisinternal and tgname !~ '^isthmus_capture' and tgtype & 66 = 0
        )
$$;

-- For a key that is named id. The argument is the table's name. An entry has so many records that it is seldom long
-- enough to be compressed.
create or replace function isthmus_changes.capture_statement() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    keys text[];
begin
    -- Most statements have few rows, for which one array is quicker than the queries below.
    if tg_op = 'INSERT' then
        keys := array(select fresh.id::text from fresh limit 51);
    elsif tg_op = 'DELETE' then
        keys := array(select stale.id::text from stale limit 51);
    else
        -- Bytes are compared, because not every type has an equality.
        select coalesce(array_agg(fresh.id::text) filter (where stale *<> fresh), '{}') into keys
        from (select * from fresh limit 51) as fresh
        left join (select * from stale limit 51) as stale on stale.id::text = fresh.id::text
        having count(*) <= 50 and count(*) = count(stale.id);
    end if;
    if cardinality(keys) <= 50 then
        if keys <> '{}' then
            insert into isthmus_changes.entries (table_name, kind, record_ids) values (tg_argv[0], lower(tg_op), keys);
        end if;
        return null;
    end if;
    if tg_op = 'INSERT' then
        insert into isthmus_changes.entries (table_name, kind, record_ids)
        select tg_argv[0], 'insert', array_agg(key)
        from (select fresh.id::text as key, (row_number() over () - 1) / 50 as part from fresh) as changed
        group by part
        order by part;
    elsif tg_op = 'DELETE' then
        insert into isthmus_changes.entries (table_name, kind, record_ids)
        select tg_argv[0], 'delete', array_agg(key)
        from (select stale.id::text as key, (row_number() over () - 1) / 50 as part from stale) as changed
        group by part
        order by part;
    else
        -- A full join is never a nested loop, however few rows the statement had for which it was planned.
        insert into isthmus_changes.entries (table_name, kind, record_ids)
        select tg_argv[0], kind, array_agg(key)
        from (
            select
                coalesce(fresh.id::text, stale.id::text) as key,
                case when stale.id is null then 'insert' when fresh.id is null then 'delete' else 'update' end as kind,
                (row_number() over () - 1) / 50 as part
            from stale full join fresh on stale.id::text = fresh.id::text
            where stale.id is null or fresh.id is null or stale *<> fresh
        ) as changed
        group by kind, part
        order by kind, part;
    end if;
    return null;
end
$$;

-- For any other key, whose columns are the arguments after the table's name.
create or replace function isthmus_changes.capture_keyed_statement() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into isthmus_changes.entries (table_name, kind, record_ids)
        select tg_argv[0], 'insert', array_agg(isthmus_changes.address(record, tg_argv[1:]))
        from (select to_jsonb(fresh) as record, (row_number() over () - 1) / 50 as part from fresh) as changed
        group by part
        order by part;
    elsif tg_op = 'DELETE' then
        insert into isthmus_changes.entries (table_name, kind, record_ids)
        select tg_argv[0], 'delete', array_agg(isthmus_changes.address(record, tg_argv[1:]))
        from (select to_jsonb(stale) as record, (row_number() over () - 1) / 50 as part from stale) as changed
        group by part
        order by part;
    else
        insert into isthmus_changes.entries (table_name, kind, record_ids)
        select tg_argv[0], kind, array_agg(key)
        from (
            select
                coalesce(later.key, earlier.key) as key,
                case when earlier.key is null then 'insert' when later.key is null then 'delete' else 'update' end
                    as kind,
                (row_number() over () - 1) / 50 as part
            from (select isthmus_changes.address(to_jsonb(stale), tg_argv[1:]) as key, stale as image from stale)
                as earlier
            full join (select isthmus_changes.address(to_jsonb(fresh), tg_argv[1:]) as key, fresh as image from fresh)
                as later on earlier.key = later.key
            where earlier.key is null or later.key is null or earlier.image *<> later.image
        ) as changed
        group by kind, part
        order by kind, part;
    end if;
    return null;
end
$$;

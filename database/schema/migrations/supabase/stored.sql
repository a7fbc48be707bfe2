-- What the database makes of the rows that a commit writes: by triggers, rules, and columns that it computes.

-- The columns of a table that the database computes.
create or replace function isthmus.generated(table_name text) returns text[]
language sql stable
as $$
    select array(
        select attname::text from pg_catalog.pg_attribute
        where attrelid = isthmus.relation(table_name) and attgenerated <> '' and not attisdropped
    )
$$;

-- Whether the database stores rows of a table in another form than they are sent: by triggers and rules of others, and
-- by columns that it computes.
create or replace function isthmus.rewrites(table_name text) returns boolean
language plpgsql stable
as $$
declare
    place constant oid := isthmus.relation(table_name);
begin
    return exists (
        select from pg_catalog.pg_attribute where attrelid = place and attgenerated <> '' and not attisdropped
    ) or exists (
        select from pg_catalog.pg_trigger
        where tgrelid in (select place union all select relid from pg_catalog.pg_partition_tree(place))
            and not tgisinternal and tgenabled <> 'D' and tgname !~ '^(zz_)?isthmus_'
    ) or exists (
        select from pg_catalog.pg_rewrite where ev_class = place and ev_enabled <> 'D'
    );
end
$$;

-- The records that were stored in another form than they were sent, as whoever sends the commit sees them: `rewritten`
-- is a list of their tables and addresses, unless there are none.
create or replace function isthmus.rewritten(steps jsonb) returns jsonb
language plpgsql stable
as $$
declare
    table_name text;
    columns text[];
    records jsonb;
    found jsonb;
    result jsonb := '[]';
    -- In two steps, so that the planner asks once for each table and not for each step.
    written constant text[] := array(
        select distinct step ->> 'table' from jsonb_array_elements(steps) as step where step ->> 'kind' <> 'delete'
    );
    rewriting constant text[] := array(select name from unnest(written) as name where isthmus.rewrites(name));
begin
    if rewriting = '{}' then
        return '{}';
    end if;
    for table_name, columns, records in
        with last as (
            select distinct on (step ->> 'table', step ->> 'id') step
            from jsonb_array_elements(steps) with ordinality as listed (step, position)
            where step ->> 'table' = any(rewriting)
            order by step ->> 'table', step ->> 'id', position desc
        )
        select step ->> 'table', isthmus.keys(step -> 'row'), jsonb_agg(
            step || jsonb_build_object('expected', (step -> 'row') || isthmus.named(step))
        )
        from last
        where step ->> 'kind' <> 'delete'
        group by 1, 2
    loop
        -- Whoever may only write is told nothing.
        if has_table_privilege(isthmus.relation(table_name), 'select') then
            execute format(
                'select jsonb_agg(jsonb_build_object(''table'', %7$L, ''id'', w.id))'
                ' from %2$s left join %1$s as t on %6$s where t.%5$I is not null and %3$s is distinct from %4$s',
                isthmus.place(table_name),
                isthmus.given(table_name),
                isthmus.content(table_name, 't', columns),
                isthmus.content(table_name, 'e', columns),
                (isthmus.key(table_name))[1],
                isthmus.same_key(table_name),
                table_name
            ) into found using records;
            result := result || coalesce(found, '[]');
        end if;
    end loop;
    return case when result = '[]' then '{}' else jsonb_build_object('rewritten', result) end;
end
$$;

-- A trigger or a rule has dropped a new record, or a change.
create or replace function isthmus.refuse_dropped(kind text, table_name text) returns void
language plpgsql
as $$
begin
    raise exception using
        errcode = 'check_violation',
        message = 'a trigger or a rule has dropped a record',
        constraint = format('isthmus_dropped_%s', kind),
        table = table_name,
        schema = split_part(isthmus.place(table_name), '.', 1);
end
$$;

-- isthmus_commit: validate what a unit of work has read, and apply what it has written, all or nothing.
--
-- Among commits, a table that one has read is held against all others, and one that it only writes is shared with
-- other writers. Against everybody else, the records that are changed are locked before they are compared. In READ
-- COMMITTED, every statement here sees what was committed when it begins, thus after the locks.

create or replace function public.isthmus_commit(request jsonb) returns jsonb
language plpgsql volatile security invoker
-- Triggers of the tables may look for names in public; everything here is found in pg_catalog or is qualified.
set search_path = pg_catalog, public, extensions, pg_temp
as $$
begin
    return isthmus.committed(isthmus.parsed(request) - 'parties');
end
$$;

-- The same for a unit of work in several names, for the service alone; parties.sql says what it has more.
create or replace function public.isthmus_commit_as(request jsonb) returns jsonb
language plpgsql volatile security invoker
set search_path = pg_catalog, public, extensions, pg_temp
as $$
begin
    return isthmus.committed(isthmus.parsed(request));
end
$$;

create or replace function isthmus.committed(body jsonb) returns jsonb
language plpgsql
as $$
declare
    recorded jsonb;
    changes constant boolean := coalesce(jsonb_array_length(body -> 'steps') > 0, true);
    parties constant integer := coalesce(jsonb_array_length(body -> 'parties'), 1);
begin
    if not changes and parties = 1 then
        perform isthmus.relation(item ->> 'table')
        from jsonb_array_elements((body -> 'reads') || (body -> 'ranges')) as item;
        -- One statement, because that sees one moment: was all that was read there at once? Nobody has to wait for it,
        -- and what is not written down may be asked again.
        perform isthmus.check_reads(body -> 'reads'), isthmus.check_ranges(body -> 'ranges');
        return '{"replayed": false, "values": []}';
    end if;
    if changes then
        recorded := isthmus.recorded_answer(body);
    end if;
    if recorded is not null then
        return recorded || '{"replayed": true}' || isthmus.rewritten(body -> 'steps');
    end if;
    -- Of several parties each is a statement of its own: with the locks, these see one moment, too.
    perform isthmus.lock_tables(body);
    -- As whoever sends it: the service locks what its parties may not touch, too, so that the order is one for all.
    perform isthmus.lock_records(body -> 'steps');
    for party in 0 .. parties - 1 loop
        perform isthmus.in_name_of(
            body, party, 'select isthmus.check_reads($1)', isthmus.parts_of(body, 'reads', party)
        );
        perform isthmus.in_name_of(
            body, party, 'select isthmus.check_ranges($1)', isthmus.parts_of(body, 'ranges', party)
        );
    end loop;
    if changes then
        perform isthmus.apply(body);
    end if;
    return '{"replayed": false, "values": []}' || isthmus.rewritten(body -> 'steps');
end
$$;

-- The answer that was given to this commit before; null if it is the first time, and its key is taken then. Whoever
-- comes second with the same key waits here for the first.
create or replace function isthmus.recorded_answer(body jsonb) returns jsonb
language plpgsql
as $$
declare
    known record;
begin
    if body ->> 'key' is null or body ->> 'fingerprint' is null then
        perform isthmus.refuse_malformed('it needs a key and a fingerprint');
    end if;
    if current_setting('transaction_isolation') = 'repeatable read' then
        raise exception using
            errcode = 'invalid_transaction_state',
            message = 'a commit cannot see what others have changed in a repeatable read transaction';
    end if;
    insert into isthmus.isthmus_commits (key, fingerprint, subject, answer)
    values (body ->> 'key', body ->> 'fingerprint', isthmus.caller(), '{"values": []}')
    on conflict (key) do nothing;
    if found then
        return null;
    end if;
    select fingerprint, answer into known from isthmus.isthmus_commits where key = body ->> 'key';
    -- A key that is not the caller's own is not seen.
    if known.fingerprint is distinct from body ->> 'fingerprint' then
        raise exception using errcode = 'IS422', message = 'the key was used for another commit', detail = '{}';
    end if;
    return known.answer;
end
$$;

-- Keep commits apart that could read what the other one writes; always in the same order.
create or replace function isthmus.lock_tables(body jsonb) returns void
language plpgsql
as $$
declare
    key_space constant integer := 1769174120;
    relation oid;
    alone boolean;
begin
    for relation, alone in
        select isthmus.relation(name)::oid, reads
        from (
            select name, bool_or(reads) as reads
            from (
                select step ->> 'table', false from jsonb_array_elements(body -> 'steps') as step
                union all
                select range ->> 'table', true from jsonb_array_elements(body -> 'ranges') as range
                union all
                -- A record that is written as well is guarded by its own lock, or by the primary key.
                select read ->> 'table', not exists (
                    select from jsonb_array_elements(body -> 'steps') as step
                    where step ->> 'table' = read ->> 'table' and step ->> 'id' = read ->> 'id'
                )
                from jsonb_array_elements(body -> 'reads') as read
            ) as used (name, reads)
            group by name
        ) as tables
        order by 1
    loop
        if alone then
            perform pg_advisory_xact_lock(key_space, relation::integer);
        else
            perform pg_advisory_xact_lock_shared(key_space, relation::integer);
        end if;
    end loop;
end
$$;

-- Lock the records that are updated or deleted, always in the same order.
create or replace function isthmus.lock_records(steps jsonb) returns void
language plpgsql
as $$
declare
    table_name text;
    records jsonb;
begin
    for table_name, records in
        select step ->> 'table', jsonb_agg(isthmus.named(step))
        from jsonb_array_elements(steps) as step
        where step ->> 'kind' in ('update', 'delete')
        group by 1
        order by 1
    loop
        -- Who may delete and not update locks nothing; a deletion compares its records once more.
        if has_any_column_privilege(isthmus.relation(table_name), 'update') then
            execute format(
                'select from %1$s as t'
                ' where (%2$s) in (select %3$s from jsonb_populate_recordset(null::%1$s, $1) as e)'
                ' order by %2$s for update of t',
                isthmus.place(table_name),
                isthmus.listed('t.%I', isthmus.key(table_name)),
                isthmus.listed('e.%I', isthmus.key(table_name))
            ) using records;
        end if;
    end loop;
end
$$;

-- Refuse the commit if a record is not as it was read. Stable, as is the next one: all of its statements see what the
-- statement sees that calls it.
create or replace function isthmus.check_reads(reads jsonb) returns void
language plpgsql stable
as $$
declare
    table_name text;
    columns text[];
    records jsonb;
    stale text;
begin
    for table_name, columns, records in
        select read ->> 'table', isthmus.keys(read -> 'expected'), jsonb_agg(read)
        from jsonb_array_elements(reads) as read
        group by 1, 2
    loop
        execute format(
            'select w.id from %2$s left join %1$s as t on %6$s'
            ' where case when w.expected is null then t.%5$I is not null'
            ' else t.%5$I is null or %3$s is distinct from %4$s end limit 1',
            isthmus.place(table_name),
            isthmus.given(table_name),
            isthmus.content(table_name, 't', columns),
            isthmus.content(table_name, 'e', columns),
            (isthmus.key(table_name))[1],
            isthmus.same_key(table_name)
        ) into stale using records;
        if stale is not null then
            perform isthmus.refuse_stale(table_name, stale);
        end if;
    end loop;
end
$$;

-- The records in $1 as a from-item: w with their id, row and expected row as JSON, and e, what was expected as a
-- record of the table, with the key in any case.
create or replace function isthmus.given(table_name text) returns text
language sql stable
as $$
    select format(
        'jsonb_to_recordset($1) as w(id text, key jsonb, "row" jsonb, expected jsonb) cross join lateral'
        ' jsonb_populate_record(null::%s, coalesce(w.expected, ''{}'')'
        ' || coalesce(w.key, jsonb_build_object(''id'', w.id))) as e',
        isthmus.place(table_name)
    )
$$;

-- Refuse the commit if a query that was made does not give the same rows in the same order.
create or replace function isthmus.check_ranges(ranges jsonb) returns void
language plpgsql stable
as $$
declare
    range jsonb;
begin
    for range in select value from jsonb_array_elements(ranges) loop
        if isthmus.differs(range) then
            perform isthmus.refuse_stale(range ->> 'table', null);
        end if;
    end loop;
end
$$;

-- Whether a query gives other rows than the expected ones.
create or replace function isthmus.differs(range jsonb) returns boolean
language plpgsql stable
as $$
declare
    table_name constant text := range ->> 'table';
    expected constant jsonb := range -> 'expected';
    columns constant text[] := isthmus.keys(expected -> 0);
    -- One row more tells that there are more; a limit that was reached hides it.
    most constant bigint := least((range ->> 'limit')::bigint, jsonb_array_length(expected) + 1);
    differs boolean;
begin
    execute format(
        'with found as ('
        ' select row_number() over (order by %2$s) as place, %4$s as content'
        ' from %1$s as t where %3$s order by place limit $2'
        '), wanted as ('
        ' select w.place, %5$s as content from jsonb_array_elements($1) with ordinality as w(expected, place)'
        ' cross join lateral jsonb_populate_record(null::%1$s, w.expected) as e'
        ') select exists ('
        ' select from found full join wanted using (place) where found.content is distinct from wanted.content)',
        isthmus.place(table_name),
        coalesce(isthmus.sort_keys(table_name, range -> 'order'), isthmus.listed('t.%I', isthmus.key(table_name))),
        isthmus.condition(table_name, range -> 'where'),
        isthmus.content(table_name, 't', columns),
        isthmus.content(table_name, 'e', columns)
    ) into differs using expected, most;
    return differs;
end
$$;

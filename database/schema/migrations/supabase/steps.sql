-- The steps of a commit: consecutive ones that are alike are one statement.

-- Those that took other arguments before.
drop function if exists
    isthmus.runs(jsonb, boolean),
    isthmus.apply_run(text, text, text[], jsonb),
    isthmus.refuse_duplicate_of_absent(jsonb, bigint, text, text),
    isthmus.statement(text, text, text[]);

-- Apply the steps in runs. If a constraint does not hold, do it again one by one, to tell which step it was.
create or replace function isthmus.apply(body jsonb) returns void
language plpgsql
as $$
declare
    run record;
begin
    for run in select * from isthmus.runs(body, false) loop
        perform isthmus.in_name_of(body, run.party, 'select isthmus.apply_run($1)', to_jsonb(run));
    end loop;
    set constraints all immediate;
exception when integrity_constraint_violation then
    perform isthmus.apply_singly(body);
end
$$;

create or replace function isthmus.apply_singly(body jsonb) returns void
language plpgsql
as $$
declare
    run record;
    step bigint;
    party integer;
    state text;
    violated text;
    at_schema text;
    at_table text;
    at_column text;
begin
    for run in select * from isthmus.runs(body, true) loop
        step := run.step;
        party := run.party;
        perform isthmus.in_name_of(body, party, 'select isthmus.apply_run($1)', to_jsonb(run));
    end loop;
    step := null;
    set constraints all immediate;
exception when integrity_constraint_violation then
    get stacked diagnostics
        state = returned_sqlstate,
        violated = constraint_name,
        at_schema = schema_name,
        at_table = table_name,
        at_column = column_name;
    perform isthmus.in_name_of(body, party, 'select isthmus.refuse_duplicate_of_absent($1)', jsonb_build_object(
        'step', body -> 'steps' -> step::integer, 'reads', body -> 'reads', 'state', state, 'violated', violated
    ));
    raise exception using
        errcode = state,
        message = rtrim(format('a constraint does not hold: %s', violated), ': '),
        detail = isthmus.violation(step, at_schema, at_table, at_column, violated);
end
$$;

-- The steps in runs of the same party, kind, table and columns, in which no record stands twice. `columns` are those of the
-- new rows or, of a deletion, of the expected ones; `resets` those that get their defaults; `records` is a list of
-- {id, key, row, expected}, of which `expected` is there if the step is the record's first. Of new records in numbered
-- tables, `made` says that the database has made the keys, and `given` that it has not; only the service, which sends a
-- commit with parties, is believed the former.
create function isthmus.runs(body jsonb, singly boolean)
returns table (
    step bigint,
    party integer,
    kind text,
    table_name text,
    columns text[],
    resets text[],
    made boolean,
    given boolean,
    records jsonb
)
language sql stable
as $$
    with given as (
        select
            position - 1 as step,
            (item ->> 'party')::integer as party,
            item ->> 'kind' as kind,
            item ->> 'table' as table_name,
            item ->> 'id' as id,
            body ? 'parties' and item ? 'made' as made,
            item ? 'given' as given,
            isthmus.named(item) as key,
            nullif(item -> 'row', 'null') || isthmus.named(item) as content,
            isthmus.texts(item -> 'resets') as resets,
            row_number() over (partition by item ->> 'table', item ->> 'id' order by position) as visit
        from jsonb_array_elements(body -> 'steps') with ordinality as steps (item, position)
    ), expected as (
        select distinct on (1, 2) item ->> 'table' as table_name, item ->> 'id' as id, item -> 'expected' as expected
        from jsonb_array_elements(body -> 'reads') as item
        where item -> 'expected' <> 'null'
    ), complete as (
        select
            given.*,
            isthmus.keys(case given.kind when 'delete' then expected.expected else given.content end) as columns,
            jsonb_build_object(
                'id', given.id, 'key', given.key, 'row', given.content, 'expected', expected.expected
            ) as record
        from given
        left join expected on visit = 1 and (expected.table_name, expected.id) = (given.table_name, given.id)
    ), labelled as (
        select *, format('%s %L %L %s %L %L %s %s', party, kind, table_name, visit, columns, resets, made, given) as label
        from complete
    ), marked as (
        select *, singly or label is distinct from lag(label) over (order by step) as begins from labelled
    ), numbered as (
        select *, count(*) filter (where begins) over (order by step) as run from marked
    )
    select min(step), min(party), min(kind), min(table_name), min(columns), min(resets), bool_and(made),
        bool_and(numbered.given), jsonb_agg(record order by step)
    from numbered
    group by run
    order by run
$$;

create or replace function isthmus.apply_run(run jsonb) returns void
language plpgsql
as $$
declare
    kind constant text := run ->> 'kind';
    table_name constant text := run ->> 'table_name';
    columns constant text[] := isthmus.texts(run -> 'columns');
    records constant jsonb := run -> 'records';
    by_service constant boolean := has_function_privilege('isthmus.pass_numbers(text, jsonb)', 'execute');
    written bigint;
begin
    execute isthmus.statement(
        kind, table_name, columns, isthmus.texts(run -> 'resets'), by_service or (run ->> 'made')::boolean
    ) using records;
    get diagnostics written = row_count;
    if written < jsonb_array_length(records) then
        if kind = 'insert' then
            perform isthmus.refuse_dropped(kind, table_name);
        end if;
        perform isthmus.refuse_untouched(kind, table_name, columns, records);
    end if;
    -- Of a caller's keys, the greatest possible one would leave no numbers.
    if by_service and (run ->> 'given')::boolean then
        perform isthmus.pass_numbers(table_name, records);
    end if;
end
$$;

-- The SQL that applies a run to the records in $1.
-- `numbers`: whether keys may be given that the database always makes.
create or replace function isthmus.statement(
    kind text, table_name text, columns text[], resets text[], numbers boolean
) returns text
language plpgsql stable
as $$
declare
    key constant text[] := isthmus.key(table_name);
    place constant text := isthmus.place(table_name);
    -- What the database computes can be given by nobody.
    given constant text[] := array(select unnest(columns) except select unnest(isthmus.generated(table_name)));
    rows constant text := format(
        'jsonb_array_elements($1) as w(item) cross join lateral'
        ' jsonb_populate_record(null::%s, w.item -> ''row'') as e',
        place
    );
begin
    case kind
        when 'insert' then
            return format(
                'insert into %s (%s) %s select %s from %s', place, isthmus.listed('%I', given),
                case when numbers then 'overriding system value' end, isthmus.listed('e.%I', given), rows
            );
        when 'update' then
            return format(
                'update %s as t set %s from %s where %s', place,
                concat_ws(', ', isthmus.listed(
                    '%1$I = e.%1$I',
                    coalesce(nullif(array(select unnest(given) except select unnest(key)), '{}'), key[1:1])
                ), isthmus.listed('%I = default', resets)),
                rows, isthmus.same_key(table_name)
            );
        when 'delete' then
            return format(
                'delete from %s as t using %s where %s and (w.expected is null or %s)', place,
                isthmus.given(table_name), isthmus.same_key(table_name), isthmus.unchanged(table_name, columns)
            );
        else
            perform isthmus.refuse_malformed('a step is of an unknown kind');
    end case;
end
$$;

create or replace function isthmus.listed(template text, names text[]) returns text
language sql immutable
as $$
    select string_agg(format(template, name), ', ') from unnest(names) as name
$$;

-- Whether a record is as expected, as SQL.
create or replace function isthmus.unchanged(table_name text, columns text[]) returns text
language sql stable
as $$
    select format(
        '%s is not distinct from %s',
        isthmus.content(table_name, 't', columns),
        isthmus.content(table_name, 'e', columns)
    )
$$;

-- Say why an update or a deletion left out some of its records: they have changed, or the caller may not touch them.
create or replace function isthmus.refuse_untouched(kind text, table_name text, columns text[], records jsonb)
returns void
language plpgsql
as $$
declare
    key constant text[] := isthmus.key(table_name);
    changed text;
    visible bigint;
begin
    execute format(
        'select min(w.id) filter (where %3$s), count(t.%4$I) from %2$s left join %1$s as t on %5$s',
        isthmus.place(table_name),
        isthmus.given(table_name),
        -- What was deleted is gone; what an update needs is there.
        case kind
            when 'update' then format('t.%I is null', key[1])
            else format(
                't.%I is not null and w.expected is not null and not %s', key[1],
                isthmus.unchanged(table_name, columns)
            )
        end,
        key[1],
        isthmus.same_key(table_name)
    ) into changed, visible using records;
    if changed is null and visible > 0 and not row_security_active(isthmus.relation(table_name)) then
        perform isthmus.refuse_dropped(kind, table_name);
    end if;
    if changed is null and visible > 0 then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('permission denied for a record of table %I', table_name),
            detail = jsonb_build_object('table', table_name);
    end if;
    perform isthmus.refuse_stale(table_name, changed);
end
$$;

-- A record that was read as absent and exists by now is no duplicate: the reading is out of date. One that the caller
-- still does not see is, as it would be the next time.
create or replace function isthmus.refuse_duplicate_of_absent(failure jsonb) returns void
language plpgsql
as $$
declare
    failed constant jsonb := failure -> 'step';
    absent constant jsonb := jsonb_build_object('table', failed -> 'table', 'id', failed -> 'id', 'expected', null);
    visible boolean;
begin
    if failure ->> 'state' = '23505' and failure -> 'reads' @> jsonb_build_array(absent) and exists (
        select from pg_catalog.pg_constraint
        where conrelid = isthmus.relation(failed ->> 'table') and conname = failure ->> 'violated' and contype = 'p'
    ) then
        execute format(
            'select exists ('
            ' select from %1$s as t, jsonb_populate_record(null::%1$s, $1) as e where %2$s)',
            isthmus.place(failed ->> 'table'), isthmus.same_key(failed ->> 'table')
        ) into visible using isthmus.named(failed);
        if visible or not row_security_active(isthmus.relation(failed ->> 'table')) then
            perform isthmus.refuse_stale(failed ->> 'table', failed ->> 'id');
        end if;
    end if;
end
$$;

create or replace function isthmus.column_names(relation oid, numbers smallint[]) returns text[]
language sql stable
as $$
    select array_agg(attname::text order by position)
    from unnest(numbers) with ordinality as wanted (number, position)
    join pg_catalog.pg_attribute on attrelid = relation and attnum = number
$$;

-- What is known about a violated constraint, without values.
create or replace function isthmus.violation(
    step bigint, schema_name text, table_name text, column_name text, constraint_name text
) returns jsonb
language sql stable
as $$
    with known as (
        select coalesce(
            nullif(array[column_name], '{""}'),
            (select conkey_names.names from pg_catalog.pg_constraint
                cross join lateral isthmus.column_names(conrelid, conkey) as conkey_names (names)
                where conrelid = relation and conname = constraint_name),
            (select isthmus.column_names(indrelid, indkey::smallint[]) from pg_catalog.pg_index
                where indexrelid = to_regclass(format('%I.%I', schema_name, constraint_name)))
        ) as columns
        from to_regclass(format('%I.%I', schema_name, table_name)) as relation
    )
    select jsonb_build_object(
        'step', step,
        'constraint', nullif(constraint_name, ''),
        'table', nullif(table_name, ''),
        'column', columns[1],
        'columns', to_jsonb(columns)
    )
    from known
$$;

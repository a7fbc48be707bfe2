-- Filters, orders and rows of a request as SQL text. Names go in by %I and values by %L, nothing else does. The table
-- is called t in the text.

-- A column as SQL: as it is, as it sorts, and the name of its type.
create or replace function isthmus.resolved(
    table_name text, column_name text, out plain text, out ordered text, out type_name text
)
language plpgsql stable
as $$
begin
    -- What a value is compared with may lie outside of a domain.
    with recursive types (type, base) as (
        select pg_type.oid, typbasetype
        from pg_catalog.pg_attribute join pg_catalog.pg_type on pg_type.oid = atttypid
        where attrelid = isthmus.relation(table_name) and attname = column_name
        union all
        select pg_type.oid, typbasetype from types join pg_catalog.pg_type on pg_type.oid = base
    )
    select
        -- An enumeration as its labels, because by itself it sorts in the order of its declaration.
        format(case when typtype = 'e' then 't.%I::text' else 't.%I' end, attname),
        format(
            case
                when typtype = 'e' then 't.%I::text collate pg_catalog."C"'
                when attcollation <> 0 then 't.%I collate pg_catalog."C"'
                else 't.%I'
            end, attname
        ),
        -- Without the length, to which a cast would cut a value; -1 is needed for the types of one character.
        case when typtype = 'e' then 'text' else format_type(pg_type.oid, -1) end
    into plain, ordered, type_name
    from pg_catalog.pg_attribute
    join pg_catalog.pg_type on pg_type.oid = (select type from types where base = 0)
    where attrelid = isthmus.relation(table_name) and attname = column_name and attnum > 0 and not attisdropped;
    if plain is null then
        raise exception using
            errcode = 'undefined_column',
            message = 'there is no such column',
            detail = jsonb_build_object('table', table_name, 'column', column_name);
    end if;
end
$$;

-- Columns as they are, as a list.
create or replace function isthmus.resolved_list(table_name text, columns text[]) returns text
language sql stable
as $$
    select string_agg((isthmus.resolved(table_name, name)).plain, ', ' order by position)
    from unnest(columns) with ordinality as given (name, position)
$$;

-- One comparison. What SQL's own operators leave open (collation, case, JSON) is settled here.
create or replace function isthmus.comparison(table_name text, filter jsonb) returns text
language plpgsql stable
as $$
declare
    operators constant jsonb := '{"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}';
    arrays constant jsonb := '{"contains": "@>", "contained_by": "<@"}';
    op constant text := filter ->> 'op';
    col record := isthmus.resolved(table_name, filter ->> 'column');
    is_json constant boolean := col.type_name in ('json', 'jsonb');
    value constant text := case when is_json then (filter -> 'value')::text else filter ->> 'value' end;
begin
    return case
        when operators || arrays ? op and col.type_name like '%[]' then format(
            '(%s %s (jsonb_populate_record(null::%s, jsonb_build_object(%L::text, %L::jsonb))).%I)', col.plain,
            (operators || arrays) ->> op, isthmus.relation(table_name)::regclass, filter ->> 'column', filter -> 'value',
            filter ->> 'column'
        )
        when op in ('eq', 'neq') then format('(%s %s %L::%s)', col.plain, operators ->> op, value, col.type_name)
        when operators ? op then format('(%s %s %L::%s)', col.ordered, operators ->> op, value, col.type_name)
        when op = 'in' then isthmus.membership(col.plain, col.type_name, filter -> 'values')
        when op = 'is_null' then format('(%s is %s null)', col.plain, case when value::boolean then '' else 'not' end)
        -- Under the "C" collation ILIKE folds A to Z and nothing else.
        when op in ('like', 'ilike') then format('(%s::text collate pg_catalog."C" %s %L)', col.plain, op, value)
        when op = 'contains' and is_json then format('(%s::jsonb @> %L::jsonb)', col.plain, value)
        when op = 'contains' then format('(strpos(%s::text collate pg_catalog."C", %L) > 0)', col.plain, value)
    end;
end
$$;

-- An empty list holds for no row, a null one included; SQL has no literal for it.
create or replace function isthmus.membership(expression text, type_name text, members jsonb) returns text
language sql immutable
as $$
    select coalesce(
        -- Null without members, unlike format's text.
        format('(%s in (', expression) || string_agg(format('%L::%s', member, type_name), ', ') || '))',
        'false'
    )
    from jsonb_array_elements_text(members) as member
$$;

-- A filter; null selects every row. Three-valued logic is SQL's own.
create or replace function isthmus.condition(table_name text, filter jsonb) returns text
language plpgsql stable
as $$
declare
    op constant text := filter ->> 'op';
    condition text;
begin
    if filter is null or jsonb_typeof(filter) = 'null' then
        return 'true';
    end if;
    if op in ('and', 'or') then
        select format('(%s)', string_agg(isthmus.condition(table_name, part), format(' %s ', op))) into condition
        from jsonb_array_elements(filter -> 'parts') as part
        having count(*) > 0;
        return coalesce(condition, (op = 'and')::text);
    end if;
    if op = 'not' then
        return format('(not %s)', isthmus.condition(table_name, filter -> 'part'));
    end if;
    condition := isthmus.comparison(table_name, filter);
    if condition is null then
        perform isthmus.refuse_malformed('a filter has an unknown operator');
    end if;
    return condition;
end
$$;

-- The sort keys of an order; null if there are none.
create or replace function isthmus.sort_keys(table_name text, keys jsonb) returns text
language sql stable
as $$
    select string_agg(format(
        '%s %s nulls %s',
        (isthmus.resolved(table_name, key ->> 'column')).ordered,
        case when (key ->> 'descending')::boolean then 'desc' else 'asc' end,
        case when (key ->> 'nulls_first')::boolean then 'first' else 'last' end
    ), ', ' order by position)
    from jsonb_array_elements(keys) with ordinality as given (key, position)
$$;

-- A row expression of some columns of the table or of another record with its type, to be compared as a whole.
create or replace function isthmus.content(table_name text, alias text, columns text[]) returns text
language sql stable
as $$
    select format('row(%s)', string_agg(
        -- The type json has no equality.
        format(case when col.type_name = 'json' then '%I.%I::jsonb' else '%I.%I' end, alias, name), ', '
    ))
    from unnest(columns) as name, isthmus.resolved(table_name, name) as col
$$;

-- The names in an object. jsonb keeps them in an order of its own, so that equal sets make equal arrays.
create or replace function isthmus.keys(object jsonb) returns text[]
language sql immutable
as $$
    select case when jsonb_typeof(object) = 'object' then array(select jsonb_object_keys(object)) else '{}' end
$$;

-- A list of texts as an array, in its order.
create or replace function isthmus.texts(list jsonb) returns text[]
language sql immutable
as $$
    select array(
        select name
        from jsonb_array_elements_text(coalesce(nullif(list, 'null'), '[]')) with ordinality as listed (name, position)
        order by position
    )
$$;

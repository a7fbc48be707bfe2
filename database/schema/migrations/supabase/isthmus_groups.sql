-- isthmus_groups: the rows of a query in groups, with their number, which PostgREST does not offer by default.

-- The combinations of values in the columns `group`, each with the number of its rows under "count". The answer is
-- {"rows": [...], "total": the number of groups without limit and offset, or null unless `count`}.
create or replace function public.isthmus_groups(request jsonb) returns jsonb
language plpgsql stable security invoker
set search_path = pg_catalog, public, extensions, pg_temp
as $$
declare
    body constant jsonb := isthmus.parsed(request);
    table_name constant text := body ->> 'table';
    columns constant text[] := array(select jsonb_array_elements_text(body -> 'group'));
    listed text;
    answer jsonb;
begin
    if columns = '{}' or 'count' = any (columns) then
        perform isthmus.refuse_malformed('it groups by columns, and by none with the name count');
    end if;
    listed := isthmus.resolved_list(table_name, columns);
    execute format(
        'with t as (select %2$s, count(*) from %1$s as t where %3$s group by %2$s),'
        ' page as (select row_number() over (order by %4$s) as place, to_jsonb(t.*) as content from t'
        ' order by place limit $1 offset $2)'
        ' select jsonb_build_object('
        '''rows'', (select coalesce(jsonb_agg(content order by place), ''[]'') from page),'
        '''total'', case when $3 then (select count(*) from t) end)',
        isthmus.place(table_name),
        listed,
        isthmus.condition(table_name, body -> 'where'),
        coalesce(isthmus.sort_keys(table_name, body -> 'order'), listed)
    ) into answer using
        (body ->> 'limit')::bigint, (body ->> 'offset')::bigint, coalesce((body ->> 'count')::boolean, false);
    return answer;
end
$$;

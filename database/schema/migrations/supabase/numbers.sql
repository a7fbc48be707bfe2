-- Numbers for the keys of new records, from the table's own sequence. Only the service role may call these functions:
-- they run with the rights of their owner, because an identity column numbers records for whoever may insert them.
-- database/sql/sequences.py has the queries in braces.

create or replace function isthmus.sequence(table_name text) returns regclass
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    {sequence}
$$;

-- Take numbers, in ascending order. As text, because gateways written in JavaScript would round 64-bit integers.
create or replace function public.isthmus_numbers(table_name text, how_many integer) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    sequence constant regclass := isthmus.sequence(table_name);
begin
    if sequence is null then
        raise exception using
            errcode = 'IS424',
            message = 'no sequence numbers the records of the table',
            detail = jsonb_build_object('table', table_name);
    end if;
    return (
        select jsonb_agg(drawn.number::text order by place)
        from (select place, nextval(sequence) as number from generate_series(1, how_many) as place) as drawn
    );
end
$$;

-- Number later records behind those of a run, if a sequence numbers them.
create or replace function isthmus.pass_numbers(table_name text, records jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    column_name constant text := (isthmus.key(table_name))[1];
    key bigint;
begin
    if isthmus.sequence(table_name) is null then
        return;
    end if;
    select max((record -> 'row' ->> column_name)::bigint) into key from jsonb_array_elements(records) as record;
    perform * from ({pass}) as passed;
end
$$;

"""The sequence that numbers the records of a table on PostgreSQL, as SQL: for statements, and for functions."""

from __future__ import annotations

from typing import Final

_FAR: Final = 100_000
"""Numbers that are drawn one by one; a sequence that is further behind is set."""

SEQUENCE: Final = r"""
    select case
        when attidentity <> '' then pg_catalog.pg_get_serial_sequence(attrelid::regclass::text, attname)::regclass
        else (
            select refobjid::regclass
            from pg_catalog.pg_attrdef
            join pg_catalog.pg_depend on objid = pg_attrdef.oid and classid = 'pg_attrdef'::regclass
            join pg_catalog.pg_class on pg_class.oid = refobjid and refclassid = 'pg_class'::regclass and relkind = 'S'
            where (adrelid, adnum) = (attrelid, attnum)
                and pg_get_expr(adbin, adrelid) ~ '^nextval\(''[^\(\)]+''::regclass\)$'
        )
    end
    from pg_catalog.pg_attribute
    where attrelid = {relation} and attname = {column} and not attisdropped
"""
"""A query for the sequence of a column: an identity column's, or the one of which the default is the next number."""

# Nobody can keep others from drawing numbers, and one that is set back gives numbers twice. So numbers are drawn until
# the key is passed, which also keeps to the increment. Only a sequence that is far behind is set: for that to set it
# back, others would have to draw as many numbers in the same moment, and the database would refuse them the second
# time, because keys are unique.
PASS: Final = f"""
    with recursive sequence as (
        select seqrelid::regclass as name, seqincrement as step, seqmax as most,
            pg_sequence_last_value(seqrelid) as last, least({{key}}, seqmax) as goal
        from pg_catalog.pg_sequence
        where seqincrement > 0 and seqrelid = ({SEQUENCE})
    ), drawn (number) as (
        select nextval(name) from sequence where coalesce(last < goal, goal > 0)
        union all
        select case
            when goal::numeric - number > {_FAR} * step
            then setval(name, (number + div(goal::numeric - number, step) * step)::bigint)
            else nextval(name)
        end
        from drawn, sequence
        where number < goal and number <= most - step
    )
    select max(number) from drawn
"""  # noqa: S608  # two of these constants
"""A query that moves the sequence of a column behind a key; it never moves it back."""

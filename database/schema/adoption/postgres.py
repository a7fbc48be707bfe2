"""Finds the tables of a PostgreSQL database, also a Supabase project's: those of the schemas on the search path, and
of others that are asked for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final
from warnings import catch_warnings
from warnings import simplefilter

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.engine.reflection import ObjectScope

from database.core.errors import NotFound
from database.schema.adoption.found import FoundColumn
from database.schema.adoption.found import FoundDatabase
from database.schema.adoption.found import FoundReference
from database.schema.adoption.found import FoundTable
from database.schema.adoption.sources import literal

# Without those of extensions, and without partitions, whose rows are those of their table.
_TABLES: Final = sa.text("""
select nspname, relname, relkind::text, relrowsecurity,
    nspname = any(current_schemas(false)) and pg_table_is_visible(pg_class.oid) as visible,
    nspname = any(cast(:schemas as text[])) and not nspname = any(current_schemas(false)) as asked,
    array(select polname::text from pg_policy where polrelid = pg_class.oid order by 1) as policies,
    array(select tgname::text from pg_trigger where tgrelid = pg_class.oid and not tgisinternal order by 1) as triggers,
    array(
        -- Those before an insert, for each row.
        select tgname::text from pg_trigger
        where tgrelid = pg_class.oid and not tgisinternal and tgenabled <> 'D' and tgtype & 7 = 7 order by 1
    ) as fillers
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
    and nspname !~ '^(pg_|isthmus)' and nspname <> 'information_schema'
    and not exists (
        select from pg_depend where objid = pg_class.oid and classid = 'pg_class'::regclass and deptype = 'e'
    )
""")
# A domain may be of another one; its type is that of the last, and the conditions of all hold.
_ATTRIBUTES: Final = sa.text("""
with recursive domains (domain, base, options, conditions) as (
    select oid, typbasetype, typtypmod, ''
    from pg_type where typtype = 'd'
    union all
    select domain, typbasetype, typtypmod, ''
    from domains join pg_type on pg_type.oid = base where typtype = 'd'
)
select nspname as schema, relname, attname, format_type(atttypid, atttypmod) as type,
    coalesce(not collisdeterministic, false) as loose, format_type(base, options) as base,
    case when domain is not null then format_type(atttypid, null) end as domain,
    array(
        select pg_get_constraintdef(pg_constraint.oid) from pg_constraint
        where contype = 'c'
            and contypid in (select atttypid union select d.base from domains d where d.domain = atttypid)
        order by 1
    ) as conditions
from pg_attribute join pg_class on pg_class.oid = attrelid join pg_type on pg_type.oid = atttypid
join pg_namespace on pg_namespace.oid = relnamespace
left join pg_collation on pg_collation.oid = attcollation
left join domains on domain = atttypid and not exists (select from pg_type b where b.oid = base and b.typtype = 'd')
where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm', 'f')
    and (pg_table_is_visible(pg_class.oid) or nspname = any(cast(:schemas as text[])))
""")
_UNKNOWN: Final = sa.text(
    "select name from unnest(cast(:schemas as text[])) as name where name not in (select nspname from pg_namespace)"
)
_OF_SUPABASE: Final = frozenset({
    "auth", "cron", "extensions", "graphql", "graphql_public", "net", "pgbouncer", "pgsodium", "realtime", "storage",
    "supabase_functions", "supabase_migrations", "vault",
})  # fmt: skip
_KINDS: Final = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
_LOOSE_PROBLEM: Final = "its collation is not deterministic: it treats different texts as equal"
_OPTIONS: Final = re.compile(r"\((\d+)(?:,(\d+))?\)")
_WHOLE: Final = frozenset({None, 6})


def find(connection: sa.Connection, schemas: Sequence[str] = ()) -> FoundDatabase:
    """Read the catalogue; nothing is changed.

    :param schemas: the schemas to read besides those on the search path.
    :raises NotFound: for one that the database does not have.
    """
    asked = {"schemas": list(schemas)}
    if unknown := connection.scalars(_UNKNOWN, asked).first():
        raise NotFound(f"the database has no schema {unknown!r}")
    rows = connection.execute(_TABLES, asked).all()
    read = {(row.nspname, row.relname): row for row in rows if row.visible or row.asked}
    hidden: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        if not row.visible and not row.asked and row.nspname not in _OF_SUPABASE:
            hidden[row.nspname] += 1
    attributes = {(row.schema, row.relname, row.attname): row for row in connection.execute(_ATTRIBUTES, asked)}
    names = sorted({schema for schema, _ in read})
    tables = [table for schema in names for table in _tables(connection, schema, read, attributes)]
    order = {schema: place for place, schema in enumerate(schemas)}
    tables.sort(key=lambda table: (table.name, -1 if table.schema is None else order[table.schema]))
    return FoundDatabase(tuple(tables), dict(hidden))


def _tables(
    connection: sa.Connection,
    schema: str,
    read: Mapping[tuple[str, str], Any],
    attributes: Mapping[tuple[str, str, str], Any],
) -> Iterable[FoundTable]:
    rows = {name: row for (there, name), row in read.items() if there == schema}
    inspector = sa.inspect(connection)
    asked: dict[str, Any] = {"schema": schema, "filter_names": list(rows), "scope": ObjectScope.ANY}
    asked["kind"] = ObjectKind.ANY
    with catch_warnings():
        # It warns of each type that it does not know.
        simplefilter("ignore", sa.exc.SAWarning)
        columns = inspector.get_multi_columns(**asked)
    keys: Any = inspector.get_multi_pk_constraint(**asked)
    references = inspector.get_multi_foreign_keys(**asked)
    unique = inspector.get_multi_unique_constraints(**asked)
    for name, row in rows.items():
        place = (schema, name)
        yield FoundTable(
            name,
            _KINDS[row.relkind],
            tuple(_column(found, attributes[schema, name, found["name"]]) for found in columns[place]),
            tuple(keys.get(place, {}).get("constrained_columns", ())),
            tuple(_reference(found, schema, read) for found in references.get(place, ())),
            {str(found["name"]): tuple(found["column_names"]) for found in unique.get(place, ())},
            tuple(row.policies) if row.relrowsecurity else None,
            tuple(row.triggers),
            tuple(row.fillers),
            schema if row.asked else None,
        )


def _column(found: Any, attribute: Any) -> FoundColumn:
    kind = found["type"]
    computed, identity = found.get("computed"), found.get("identity")
    default = found.get("default")
    serial = default is not None and default.startswith("nextval(")
    form = _domain_source(kind, attribute.base) if isinstance(kind, postgresql.DOMAIN) else type_source(kind)
    return FoundColumn(
        found["name"],
        attribute.type,
        () if form is None else (form,),
        found["nullable"] and not getattr(kind, "not_null", False),
        default if computed is None else None,
        computed["sqltext"] if computed else None,
        ("always" if identity["always"] else "by default") if identity else "by default" if serial else None,
        _LOOSE_PROBLEM if attribute.loose else None,
        " ".join([attribute.domain, *attribute.conditions]) if attribute.domain else None,
    )


def _reference(found: Any, schema: str, read: Mapping[tuple[str, str], Any]) -> FoundReference:
    there, table = found["referred_schema"], found["referred_table"]
    # What is on the search path is named without its schema.
    known = any(row.visible for (name, other), row in read.items() if other == table and there in {None, name})
    return FoundReference(
        tuple(found["constrained_columns"]),
        table if known else f"{there or schema}.{table}",
        tuple(found["referred_columns"]),
        found["name"],
        action if (action := (found.get("options") or {}).get("ondelete")) in {"CASCADE", "SET NULL"} else None,
    )


def _text(kind: Any) -> str:
    if kind.collation == "C":
        return f"columns.text({kind.length or ''})"
    return "sa.Text" if kind.length is None else f"sa.String({kind.length})"


def _numeric(kind: Any) -> str:
    return "sa.Numeric" if kind.precision is None else f"sa.Numeric({kind.precision}, {kind.scale or 0})"


def _timestamp(kind: Any) -> str:
    if kind.precision in _WHOLE:
        return "columns.timestamp()" if kind.timezone else "sa.DateTime"
    return f"postgresql.TIMESTAMP(timezone={kind.timezone}, precision={kind.precision})"


def _time(kind: Any) -> str:
    if not kind.timezone and kind.precision in _WHOLE:
        return "sa.Time"
    return f"postgresql.TIME(timezone={kind.timezone}, precision={kind.precision})"


def _interval(kind: Any) -> str:
    if kind.fields is None and kind.precision in _WHOLE:
        return "sa.Interval"
    return f"postgresql.INTERVAL(fields={kind.fields!r}, precision={kind.precision})"


def _enum(kind: Any) -> str:
    place = f", schema={literal(kind.schema)}" if kind.schema else ""
    return f"sa.Enum({', '.join(map(literal, kind.enums))}, name={literal(kind.name)}{place})"


def _array(kind: Any) -> str | None:
    item = type_source(kind.item_type)
    return None if item is None else f"sa.ARRAY({item})"


_FORMS: Final[Mapping[type, Callable[[Any], str | None]]] = {
    sa.TEXT: _text,
    sa.VARCHAR: _text,
    # Without a length it is of any, as PostgreSQL's own bpchar.
    sa.CHAR: lambda kind: None if kind.length is None else f"sa.CHAR({kind.length})",
    sa.UUID: lambda _: "sa.Uuid",
    sa.SMALLINT: lambda _: "sa.SmallInteger",
    sa.INTEGER: lambda _: "sa.Integer",
    sa.BIGINT: lambda _: "sa.BigInteger",
    sa.DOUBLE_PRECISION: lambda _: "sa.Double",
    sa.REAL: lambda _: "sa.REAL",
    sa.BOOLEAN: lambda _: "sa.Boolean",
    sa.NUMERIC: _numeric,
    sa.DATE: lambda _: "sa.Date",
    postgresql.TIME: _time,
    postgresql.TIMESTAMP: _timestamp,
    postgresql.INTERVAL: _interval,
    postgresql.JSONB: lambda _: "columns.json()",
    postgresql.JSON: lambda _: 'sa.JSON().with_variant(sa.Text(), "sqlite")',
    postgresql.BYTEA: lambda _: "sa.LargeBinary",
    postgresql.CITEXT: lambda _: "postgresql.CITEXT",
    postgresql.ENUM: _enum,
    postgresql.ARRAY: _array,
}
"""By the exact class: a subclass may mean something else."""


def _domain_source(kind: Any, base: str) -> str | None:
    """The source for a domain: the database checks what it demands, and its values are those of the type below it.

    :param base: that type as the database writes it, with its digits and length, which SQLAlchemy leaves out.
    """
    while isinstance(kind, postgresql.DOMAIN):
        kind = kind.data_type
    options = _OPTIONS.search(base)
    if options and isinstance(kind, sa.NUMERIC):
        return f"sa.Numeric({options[1]}, {options[2] or 0})"
    if options and isinstance(kind, sa.VARCHAR | sa.CHAR):
        return f"sa.{'CHAR' if isinstance(kind, sa.CHAR) else 'String'}({options[1]})"
    if options and isinstance(kind, postgresql.TIMESTAMP | postgresql.TIME | postgresql.INTERVAL):
        kind.precision = int(options[1])
    return type_source(kind)


def type_source(kind: Any) -> str | None:
    """The source of a declared type; None if there is none for it."""
    form = _FORMS.get(type(kind))
    return None if form is None else form(kind)

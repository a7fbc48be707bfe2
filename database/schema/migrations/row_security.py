"""Row level security on a server with Supabase's roles, generated from the tables' access rules.

Supabase exposes every table of its public schema over HTTP, so that row level security is the only protection. A table
with ``info["access"]`` gets one policy per verb, equivalent to :mod:`database.core.tables.access_rules`. All others,
such as Isthmus's own tables and those that a migration has created but that are no longer declared, are closed to all
roles except ``service_role``. The rules are state, not history: they are created again after each run of migrations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from psycopg import sql

from database.core.tables.access_rules import ADMIN
from database.core.tables.access_rules import NOBODY
from database.core.tables.access_rules import SIGNED_IN
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action
from database.core.tables.access_rules import Rule
from database.core.tables.access_rules import covering
from database.core.tables.access_rules import rules_of
from database.internal_tables import SCHEMA
from database.internal_tables import is_own
from database.schema.migrations import own_schema
from database.schema.migrations.released import IS_OURS
from database.schema.migrations.revisions.comparison import VERSION_TABLE

ROLES: Final = ("anon", "authenticated", "service_role")
_CALLERS: Final = ("anon", "authenticated")
_VERBS: Final[Mapping[Action, tuple[str, ...]]] = {
    "read": ("select",),
    "write": ("insert", "update"),
    "delete": ("delete",),
}
_CLAUSES: Final = {
    "select": "using ({0})",
    "insert": "with check ({0})",
    "update": "using ({0}) with check ({0})",
    "delete": "using ({0})",
}
# In a sub-select the claims are parsed once per statement instead of once per row; an unset claim may be ''.
_CLAIMS: Final = "nullif(current_setting('request.jwt.claims', true), '')::jsonb"
_SUBJECT: Final = sql.SQL(f"(select nullif({_CLAIMS} ->> 'sub', ''))")
_APP_ROLE: Final = sql.SQL(f"(select {_CLAIMS} -> 'app_metadata' ->> 'role')")
_PERMITTED: Final = (
    f"(select jsonb_typeof(permissions) = 'array' and permissions ?| array[{{}}]"  # noqa: S608  # all constants
    f" from (select {_CLAIMS} -> 'app_metadata' -> 'permissions') as claims (permissions))"
)
_COMPARED: Final = "isthmus_compared"
_FIND_ROLES: Final = sa.text("select rolname from pg_roles where rolname = any(:names)")
_FIND_TABLES: Final = sa.text(
    "select relname, relrowsecurity from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
    " where relname = any(:names) and nspname = coalesce(cast(:schema as text), current_schema())"
)
_FIND_POLICIES: Final = sa.text(
    "select tablename, policyname, (permissive, roles, cmd, qual, with_check)::text from pg_policies"
    " where tablename = any(:names)"
    " and schemaname in (coalesce(cast(:schema as text), current_schema()), pg_my_temp_schema()::regnamespace::text)"
)
_FIND_OURS: Final = sa.text(
    "select tablename, policyname from pg_policies"
    r" where policyname like 'isthmus\_%' and schemaname = current_schema()"
)
_FIND_OTHERS: Final = sa.text(
    r"select tablename from pg_policies where policyname not like 'isthmus\_%' and schemaname = current_schema()"
)
_FIND_GRANTS: Final = sa.text(
    "select relname, grantee::regrole::text, lower(privilege_type) from pg_class"
    " join pg_namespace on pg_namespace.oid = relnamespace, aclexplode(relacl)"
    " where relname = any(:names) and nspname = coalesce(cast(:schema as text), current_schema())"
    " and grantee = any(cast(:roles as regrole[])::oid[])"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: who may execute one SQL verb on the rows of a table.

    :ivar verb: ``select``, ``insert``, ``update`` or ``delete``.
    :ivar access: the rules that admit callers.
    :ivar owner: the column that contains the owner of a row, if the rules refer to it.
    :ivar casts: whether that column is not a text, as which the caller's subject is compared with it.
    """

    verb: str
    access: Access
    owner: str | None = None
    casts: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """The database roles that the policy applies to."""
        return _CALLERS if self.access.names("anyone") else (SIGNED_IN,)

    @property
    def name(self) -> str:
        """The policy's name in the database."""
        return f"isthmus_{self.verb}"


def policies(table: sa.Table) -> list[Policy]:
    """The policies for callers with or without a token; none for a table that declares no access rules."""
    rules = rules_of(table)
    return [
        Policy(verb, rules.of(action), rules.owner, rules.owner is not None and _is_uuid(table, rules.owner))
        for action, verbs in _VERBS.items()
        if rules.of(action) != NOBODY
        for verb in verbs
    ]


def _is_uuid(table: sa.Table, column: str) -> bool:
    return isinstance(table.columns[column].type, sa.Uuid)


def statements(declared: Iterable[sa.Table], there: Container[str]) -> list[str]:
    """Repeatable SQL that applies the rules of the declared tables that exist, according to ``there``."""
    protected = _protected(declared, SCHEMA)
    tables = [table for table in protected if table.name in there or table.name == VERSION_TABLE]
    return [*own_schema.PROTECTION, *(text for table in tables for text in table_statements(table))]


def closing(declared: Iterable[sa.Table], made: Iterable[str], released: Iterable[str] = ()) -> list[str]:
    """Repeatable SQL that closes existing tables which migrations have created and which are not declared.

    :param made: the tables that migrations create.
    :param released: tables that migrations no longer create. A table without our policy or mark is left alone, because
        it may be another program's table of the same name.
    """
    names = {table.name for table in declared}
    forsaken = [_where_it_is(table) for table in _forsaken(names, made)]
    return [*forsaken, *(_where_it_is(table, IS_OURS) for table in _forsaken({*names, *made}, released))]


def table_statements(table: sa.Table) -> Iterator[str]:
    """Repeatable SQL that applies the rules of one table."""
    name = _identifier(table)
    yield _text("alter table {} enable row level security", name)
    # Supabase grants all privileges on a new table to all roles.
    yield _text("revoke all on table {} from public, anon, authenticated", name)
    yield _text("grant all on table {} to service_role", name)
    for verb in _CLAUSES:
        yield _text("drop policy if exists {} on {}", sql.Identifier(f"isthmus_{verb}"), name)
    yield _text("drop policy if exists isthmus_service on {}", name)
    yield _text("create policy isthmus_service on {} to service_role using (true) with check (true)", name)
    for policy in policies(table):
        yield _grant_statement(policy, name)
        yield _policy_statement(policy, name)


def has_roles(connection: sa.Connection) -> bool:
    """Whether the server has Supabase's roles."""
    if connection.dialect.name != "postgresql":
        return False
    return set(connection.scalars(_FIND_ROLES, {"names": list(ROLES)})) == set(ROLES)


def apply(connection: sa.Connection, declared: Iterable[sa.Table], made: Iterable[str] = ()) -> bool:
    """Apply the rules in the database; does nothing and returns False if Supabase's roles do not exist.

    :param made: the tables that migrations create; those that are not declared are closed.
    """
    if not has_roles(connection):
        return False
    declared = list(declared)
    schema = own_schema.PROTECTION if own_schema.current(connection) else ()
    tables = [text for table in _there(connection, declared) for text in table_statements(table)]
    for text in (*schema, *tables, *closing(declared, made)):
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})
    return True


def asked(connection: sa.Connection, adopted: Iterable[sa.Table]) -> list[sa.Table]:
    """The adopted tables that have our policies, because somebody asked for them."""
    if not has_roles(connection):
        return []
    ours = {table for table, _ in connection.execute(_FIND_OURS)}
    return [table for table in adopted if table.name in ours]


def with_other_policies(connection: sa.Connection) -> set[str]:
    """The names of the tables that have policies of others."""
    return set(connection.scalars(_FIND_OTHERS))


def protect_own(connection: sa.Connection) -> None:
    """Close only Isthmus' own tables, such as the one that records the revisions."""
    apply(connection, ())


def lift(connection: sa.Connection) -> None:
    """Drop our policies, which would block changes of their columns; create them again in the same transaction.

    Row level security stays enabled meanwhile, so that the tables are closed rather than open.
    """
    if not has_roles(connection):
        return
    for table, policy in connection.execute(_FIND_OURS).all():
        text = _text("drop policy {} on {}", sql.Identifier(policy), sql.Identifier(table))
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})


def differences(connection: sa.Connection, declared: Iterable[sa.Table], made: Iterable[str] = ()) -> list[str]:
    """The differences between the database's rules and the declared ones, as lines; empty without Supabase's roles.

    :param made: the tables that migrations create.
    """
    if not has_roles(connection):
        return []
    declared = list(declared)
    forsaken = _forsaken({table.name for table in declared}, made)
    tables = [*_there(connection, declared), *forsaken]
    schemas = sorted({table.schema for table in tables}, key=str)
    lines = own_schema.differences(connection)
    return [
        line
        for schema in schemas
        for line in _differences_in(connection, schema, {one.name: one for one in tables if one.schema == schema})
    ] + lines


def _differences_in(connection: sa.Connection, schema: str | None, tables: Mapping[str, sa.Table]) -> list[str]:
    """The differences of tables in one schema; None for that of the application's tables."""
    names = {"names": list(tables), "schema": schema}
    secured = {name: bool(on) for name, on in connection.execute(_FIND_TABLES, names)}
    found = _policies_of(connection, tables, schema)
    granted: defaultdict[str, set[str]] = defaultdict(set)
    for name, role, verb in connection.execute(_FIND_GRANTS, {**names, "roles": list(_CALLERS)}):
        granted[name].add(f"{verb} to {role}")
    return [
        line
        for name, on in sorted(secured.items())
        for line in (
            *_compared(tables[name], on=on, made=set(found[name]), granted=granted[name]),
            *_changed(connection, tables[name], found[name]),
        )
    ]


def _compared(table: sa.Table, *, on: bool, made: set[str], granted: set[str]) -> Iterator[str]:
    if not on:
        yield f"{table.name}: row level security is not enabled"
    declared = policies(table)
    grants = {f"{policy.verb} to {role}" for policy in declared for role in policy.roles}
    for kind, found, wanted in (
        ("policy", made, {"isthmus_service", *(policy.name for policy in declared)}),
        ("grant of", granted, grants),
    ):
        yield from (f"{table.name}: {kind} {one} is missing" for one in sorted(wanted - found))
        yield from (f"{table.name}: {kind} {one} is not declared" for one in sorted(found - wanted))


def _changed(connection: sa.Connection, table: sa.Table, made: Mapping[str, str]) -> Iterator[str]:
    """The policies whose condition differs from the declared one.

    The server normalises conditions, so the declared policies are created on a temporary table, read back for the
    comparison, and rolled back.
    """
    declared = policies(table)
    if not declared:
        return
    with connection.begin_nested() as savepoint:
        for text in _comparison(table, declared):
            connection.exec_driver_sql(text, execution_options={"no_parameters": True})
        wanted = _policies_of(connection, [_COMPARED], None)[_COMPARED]
        savepoint.rollback()
    for name in sorted(wanted.keys() & made.keys()):
        if wanted[name] != made[name]:
            yield f"{table.name}: policy {name} differs from the declared access rules"


def _comparison(table: sa.Table, declared: Iterable[Policy]) -> Iterator[str]:
    """SQL that creates a temporary table with the policies."""
    compared = sql.Identifier(_COMPARED)
    yield _text("create temporary table {} (like {})", compared, _identifier(table))
    for policy in declared:
        yield _policy_statement(policy, compared)


def _policies_of(
    connection: sa.Connection, tables: Iterable[str], schema: str | None
) -> defaultdict[str, dict[str, str]]:
    """The existing policies by table and name, in the server's normalised form."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for table, name, definition in connection.execute(_FIND_POLICIES, {"names": list(tables), "schema": schema}):
        found[table][name] = definition
    return found


def _protected(declared: Iterable[sa.Table], schema: str | None) -> list[sa.Table]:
    """The application's declared tables, plus Isthmus' own in ``schema``, and the one that records the revisions."""
    return [*(table for table in declared if not is_own(table.name)), *own_schema.tables(schema)]


def _forsaken(declared: Container[str], made: Iterable[str]) -> list[sa.Table]:
    """The tables of ``made`` that are not declared, as internal tables, so that they are closed."""
    names = sorted(name for name in {*made} if name not in declared)
    return [sa.Table(name, sa.MetaData(), info={"internal": True}) for name in names]


def _where_it_is(table: sa.Table, condition: str = "true") -> str:
    """SQL that applies a table's rules if the table exists and fulfils ``condition``."""
    body = "; ".join(table_statements(table))
    name = sql.Literal(_identifier(table).as_string(None)).as_string(None)
    there = f"to_regclass({name}) is not null and {condition.format(name)}"
    return f"do $isthmus$ begin if {there} then {body}; end if; end $isthmus$"


def _there(connection: sa.Connection, declared: Iterable[sa.Table]) -> Iterator[sa.Table]:
    """The tables that exist. A table is treated as internal, and so closed, while it lacks its owner column."""
    inspector, place = sa.inspect(connection), own_schema.current(connection)
    found = {schema: set(inspector.get_table_names(schema)) for schema in {None, place}}
    for table in _protected(declared, place):
        if table.name in found[table.schema]:
            owner = rules_of(table).owner
            known = owner is None or owner in {column["name"] for column in inspector.get_columns(table.name)}
            yield table if known else sa.Table(table.name, sa.MetaData(), info={"internal": True})


def _identifier(table: sa.Table) -> sql.Identifier:
    return sql.Identifier(*filter(None, (table.schema, table.name)))


def _grant_statement(policy: Policy, table: sql.Identifier) -> str:
    return _text("grant {} on table {} to {}", sql.SQL(policy.verb), table, _roles(policy))


def _policy_statement(policy: Policy, table: sql.Identifier) -> str:
    name, verb = sql.Identifier(policy.name), sql.SQL(policy.verb)
    clause = sql.SQL(_CLAUSES[policy.verb]).format(_condition(policy))
    return _text("create policy {} on {} for {} to {} {}", name, table, verb, _roles(policy), clause)


def _roles(policy: Policy) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, policy.roles))


def _condition(policy: Policy) -> sql.Composable:
    """The policy's condition on a row: at least one of the rules admits the caller."""
    if policy.access.names("anyone", "user"):
        return sql.SQL("true")
    owner = sql.SQL("{}::text" if policy.casts else "{}").format(sql.Identifier(policy.owner or ""))
    return sql.SQL(" or ").join(_admission(rule, owner) for rule in policy.access.rules)


def _admission(rule: Rule, owner: sql.Composable) -> sql.Composable:
    if rule.audience == "owner":
        return sql.SQL("{} = {}").format(owner, _SUBJECT)
    if rule.audience == "role":
        return sql.SQL("{} = any(array[{}])").format(_APP_ROLE, _literals({rule.name, ADMIN}))
    permitted = sql.SQL(_PERMITTED).format(_literals(covering(rule.name)))
    return sql.SQL("{} = {} or {}").format(_APP_ROLE, sql.Literal(ADMIN), permitted)


def _literals(texts: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Literal, sorted(texts)))


def _text(template: str, *parts: sql.Composable) -> str:
    return sql.SQL(template).format(*parts).as_string(None)

"""Row level security on a server with Supabase's roles, made from what the tables declare.

Supabase offers every table of its public schema to the world through HTTP; what keeps the world out is this. A
table with ``info["access"]`` gets a policy per verb; any other, those of Isthmus itself first, is closed to all
but ``service_role``. The rules are state, not history: they are made anew after the migrations have run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from psycopg import sql

from database.migrations.comparison import VERSION_TABLE

ROLES: Final = ("anon", "authenticated", "service_role")
_CALLERS: Final = ("anon", "authenticated")
_VERBS: Final = {"read": ("select",), "write": ("insert", "update"), "delete": ("delete",)}
_CLAUSES: Final = {
    "select": "using ({0})",
    "insert": "with check ({0})",
    "update": "using ({0}) with check ({0})",
    "delete": "using ({0})",
}
# In a sub-select, the claims are parsed once a statement and not once a row; an unset claim may read as ''.
_APP_ROLE: Final = sql.SQL(
    "(select nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'app_metadata' ->> 'role')"
)
_FIND_ROLES: Final = sa.text("select rolname from pg_roles where rolname = any(:names)")
_FIND_TABLES: Final = sa.text(
    "select relname, relrowsecurity from pg_class where relname = any(:names)"
    " and relnamespace = current_schema()::regnamespace"
)
_FIND_POLICIES: Final = sa.text(
    "select tablename, policyname from pg_policies where tablename = any(:names) and schemaname = current_schema()"
)
_FIND_GRANTS: Final = sa.text(
    "select relname, grantee::regrole::text, lower(privilege_type) from pg_class, aclexplode(relacl)"
    " where relname = any(:names) and relnamespace = current_schema()::regnamespace"
    " and grantee = any(cast(:roles as regrole[])::oid[])"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may do one thing with the rows of a table.

    :ivar verb: ``select``, ``insert``, ``update`` or ``delete``.
    :ivar roles: the database roles it is for.
    :ivar app_role: the application's role that the caller's claims must name, or None for any.
    """

    verb: str
    roles: tuple[str, ...]
    app_role: str | None = None

    @property
    def name(self) -> str:
        """As the database knows it."""
        return f"isthmus_{self.verb}"


def policies(table: sa.Table) -> list[Policy]:
    """The policies for those who come with a token or without; none for a table that declares no access."""
    access = {} if table.info.get("internal") else table.info.get("access", {})
    return [_policy(verb, access[right]) for right in _VERBS if right in access for verb in _VERBS[right]]


def statements(metadata: sa.MetaData) -> list[str]:
    """The SQL that gives every declared table its rules; it may be run again."""
    return [text for table in _protected(metadata) for text in _statements(table)]


def has_roles(connection: sa.Connection) -> bool:
    """Whether the database's server has Supabase's roles."""
    if connection.dialect.name != "postgresql":
        return False
    return set(connection.scalars(_FIND_ROLES, {"names": list(ROLES)})) == set(ROLES)


def apply(connection: sa.Connection, metadata: sa.MetaData) -> bool:
    """Make the rules on ``connection``'s database; False, and nothing done, where the roles do not exist."""
    if not has_roles(connection):
        return False
    for text in statements(metadata):
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})
    return True


def differences(connection: sa.Connection, metadata: sa.MetaData) -> list[str]:
    """Where the database's rules are not the declared ones, a line each; none where the roles do not exist."""
    if not has_roles(connection):
        return []
    tables = {table.name: table for table in _protected(metadata)}
    names = {"names": list(tables)}
    secured = {name: bool(on) for name, on in connection.execute(_FIND_TABLES, names)}
    made: defaultdict[str, set[str]] = defaultdict(set)
    for name, policy in connection.execute(_FIND_POLICIES, names):
        made[name].add(policy)
    granted: defaultdict[str, set[str]] = defaultdict(set)
    for name, role, verb in connection.execute(_FIND_GRANTS, {**names, "roles": list(_CALLERS)}):
        granted[name].add(f"{verb} to {role}")
    return [
        line
        for name, on in sorted(secured.items())
        for line in _compared(tables[name], on=on, made=made[name], granted=granted[name])
    ]


def _compared(table: sa.Table, *, on: bool, made: set[str], granted: set[str]) -> Iterator[str]:
    if not on:
        yield f"{table.name}: row level security is off"
    declared = policies(table)
    grants = {f"{policy.verb} to {role}" for policy in declared for role in policy.roles}
    for kind, found, wanted in (
        ("policy", made, {"isthmus_service", *(policy.name for policy in declared)}),
        ("grant of", granted, grants),
    ):
        yield from (f"{table.name}: {kind} {one} is missing" for one in sorted(wanted - found))
        yield from (f"{table.name}: {kind} {one} is not declared" for one in sorted(found - wanted))


def _protected(metadata: sa.MetaData) -> list[sa.Table]:
    """The declared tables, and the one that keeps the revision, which is nobody's business either."""
    return [*metadata.sorted_tables, sa.Table(VERSION_TABLE, sa.MetaData(), info={"internal": True})]


def _policy(verb: str, audience: str) -> Policy:
    if audience == "anyone":
        return Policy(verb, _CALLERS)
    return Policy(verb, ("authenticated",), None if audience == "user" else audience)


def _statements(table: sa.Table) -> Iterator[str]:
    name = sql.Identifier(table.name)
    yield _text("alter table {} enable row level security", name)
    # Supabase grants everything on a new table to everybody.
    yield _text("revoke all on table {} from public, anon, authenticated", name)
    yield _text("grant all on table {} to service_role", name)
    for verb in _CLAUSES:
        yield _text("drop policy if exists {} on {}", sql.Identifier(f"isthmus_{verb}"), name)
    yield _text("drop policy if exists isthmus_service on {}", name)
    yield _text("create policy isthmus_service on {} to service_role using (true) with check (true)", name)
    for policy in policies(table):
        yield from _policy_statements(policy, name)


def _policy_statements(policy: Policy, table: sql.Identifier) -> Iterator[str]:
    verb = sql.SQL(policy.verb)
    roles = sql.SQL(", ").join(map(sql.Identifier, policy.roles))
    clause = sql.SQL(_CLAUSES[policy.verb]).format(_condition(policy))
    yield _text("grant {} on table {} to {}", verb, table, roles)
    yield _text("create policy {} on {} for {} to {} {}", sql.Identifier(policy.name), table, verb, roles, clause)


def _condition(policy: Policy) -> sql.Composable:
    if policy.app_role is None:
        return sql.SQL("true")
    return sql.SQL("{} = {}").format(_APP_ROLE, sql.Literal(policy.app_role))


def _text(template: str, *parts: sql.Composable) -> str:
    return sql.SQL(template).format(*parts).as_string(None)

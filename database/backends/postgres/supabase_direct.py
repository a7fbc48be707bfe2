"""The PostgreSQL of a Supabase project: every call runs as its caller, so that row level security applies."""

from __future__ import annotations

import logging
from typing import ClassVar

import orjson
from psycopg import sql

from database.adapter.backend import Setup
from database.backends.postgres.adapter import PostgresAdapter
from database.backends.postgres.adapter import PostgresBackend
from database.core.capabilities import Capabilities
from database.core.context import SERVICE
from database.core.context import Context
from database.core.operations import Operation

logger = logging.getLogger(__name__)

ROLES = frozenset({"anon", "authenticated", "service_role"})
_KNOWN_ROLES = "select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role')"


class SupabaseDirectBackend(PostgresBackend):
    """Each transaction sets the caller's role and claims with ``set local``, so that they end with it. On a server
    without Supabase's roles only the claims are set, which the connection info reports.
    """

    kind: ClassVar[str] = "supabase_direct"
    capabilities = Capabilities(row_security=True, changes=True)
    # COPY is refused on tables with row level security.
    copies = False
    settings_prefix: ClassVar[str] = "SUPABASE_DB"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._has_roles: bool | None = None

    def open(self, context: Context) -> None:
        super().open(context)
        connection = self._pool.acquire(context)
        try:
            found = {name for (name,) in self._call_on(connection, context, writes=False).rows(_KNOWN_ROLES, ())}
        finally:
            self._pool.release(connection)
        self._has_roles = found >= ROLES
        if not self._has_roles:
            logger.warning(
                "%s lacks Supabase's roles (anon, authenticated, service_role): transactions set only the caller's "
                "claims, not the role; create the roles or use a Supabase database",
                self.name,
            )

    def enforces_access(self, operation: Operation) -> bool | None:
        return self._has_roles

    def describe(self) -> dict[str, object]:
        security = {True: "roles and claims", False: "claims only: the server lacks Supabase's roles"}
        return {**super().describe(), "row_security": security.get(bool(self._has_roles))}

    def prologue(self, context: Context) -> str:
        identity = context.identity or SERVICE
        role = identity.role if identity.role in ROLES else "anon"
        claims = orjson.dumps({**identity.claims, "role": role, "sub": identity.subject}).decode()
        settings = (("request.jwt.claims", claims), ("request.jwt.claim.sub", identity.subject or ""))
        parts = [f"set local role {role}"] if self._has_roles else []
        parts += [f"select set_config('{name}', {_literal(value)}, true)" for name, value in settings]
        return "; ".join(parts)


class SupabaseDirectAdapter(PostgresAdapter):
    """Config as for :class:`PostgresAdapter`; ``host`` is the project's database, or its pooler (with ``pooler``)."""

    backend_class = SupabaseDirectBackend
    backend: SupabaseDirectBackend


def _literal(text: str) -> str:
    return sql.Literal(text).as_string(None)

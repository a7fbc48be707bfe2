"""Access to tables over HTTP: enforces ``info["access"]`` of the declared tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from functools import wraps
from typing import Any

from auth.guards import access_required
from config.settings import ConfigurationError
from database import DatabaseAdapter
from database import NotFound
from database import Schema
from database import TableSchema
from database import current_database
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action

View = Callable[..., Any]


def on_table(action: Action) -> Callable[[View], View]:
    """Replace the route's parameter ``table`` with the table's schema, if the access rules allow the action. The data
    layer enforces the rules for single rows.

    :raises NotFound: if the table does not exist, is internal, or has no access rules.
    :raises AuthError: if the caller is not signed in, or lacks the role or the permission.
    """

    def resolving(view: View) -> View:
        @wraps(view)
        def resolved(table: str, **values: Any) -> Any:
            schema = _shown_table(table)
            return guarded(view, schema.rules.of(action))(schema, **values)

        return resolved

    return resolving


def require_readable(name: str) -> None:
    """Refuse callers to whom a list of the table is refused.

    :raises NotFound: :raises AuthError: as :func:`on_table`.
    """
    require_access(_shown_table(name).rules.of("read"))


def require_access(access: Access) -> None:
    """Refuse callers to whom the rules grant nothing. :raises AuthError: as :func:`on_table`."""
    guarded(_nothing, access)()


def refuse_hidden(schema: Schema, name: str, what: str, remedy: str) -> None:
    """Refuse a declared table whose routes those of something else would hide.

    :raises ConfigurationError: says what has the routes, and what to do.
    """
    if name in schema and schema.table(name).rules.declared:
        reason = f"has the routes of {what} (/api/{name}); rename it, or {remedy}"
        raise ConfigurationError({f"table {name}": reason})


def current_adapter() -> DatabaseAdapter:
    """The adapter of the primary database."""
    databases = current_database()
    return databases.adapters[databases.primary_adapter]


def shown_schema() -> Schema:
    """The tables of the primary database."""
    return current_adapter().schema


def _nothing() -> None:
    """A view that only its guard is needed of."""


def _shown_table(name: str) -> TableSchema:
    schema = shown_schema()
    if name in schema:
        table = schema.table(name)
        if table.rules.declared and not table.internal:
            return table
    # The same error for an internal table, so that the response does not reveal that it exists.
    raise NotFound(f"table {name[:64]!r} does not exist")


@cache
def guarded(view: View, access: Access) -> View:
    """The view for callers to whom the rules grant something; the data layer enforces what that is."""
    return access_required(access)(view)

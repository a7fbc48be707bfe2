"""Which tables are shown, and to whom: ``info["access"]`` of the declared tables, enforced."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from functools import wraps
from typing import Any

from auth.guards import access_required
from database import NotFound
from database import TableSchema
from database import current_database
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action

View = Callable[..., Any]


def on_table(action: Action) -> Callable[[View], View]:
    """Give a view the table that its route's ``table`` names, if the caller may do this there; which rows are theirs
    is for the data layer to say.

    :raises NotFound: when called for a table that does not exist or is not shown.
    :raises AuthError: when the caller is not signed in, or lacks the role or the permission.
    """

    def resolving(view: View) -> View:
        @wraps(view)
        def resolved(table: str, **values: Any) -> Any:
            schema = _shown_table(table)
            return _guarded(view, schema.rules.of(action))(schema, **values)

        return resolved

    return resolving


def _shown_table(name: str) -> TableSchema:
    databases = current_database()
    schema = databases.adapters[databases.primary_adapter].schema.table(name)
    if schema.internal or not schema.rules.declared:
        raise NotFound(f"there is no table {name!r}")
    return schema


@cache
def _guarded(view: View, access: Access) -> View:
    return access_required(access)(view)

"""The permissions of accounts, from their roles."""

from __future__ import annotations

from config.permissions import ROLE_PERMISSIONS
from database.core.tables.access_rules import covering


def permissions_of(role: str) -> list[str]:
    """The permissions of a role.

    :raises ValueError: for a permission that is neither ``area:action``, with ``*`` for one or both, nor ``*``.
    """
    permissions = list(ROLE_PERMISSIONS.get(role, ()))
    for permission in permissions:
        covering(permission)
    return permissions


for _role in ROLE_PERMISSIONS:
    # Checked at import: an invalid permission stops the start of the application instead of failing sign-ins.
    permissions_of(_role)

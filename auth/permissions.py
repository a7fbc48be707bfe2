"""Permissions of accounts: what their role brings with it, besides what they have of their own."""

from __future__ import annotations

from config.permissions import ROLE_PERMISSIONS
from database.core.tables.access_rules import covering


def permissions_of(role: str) -> list[str]:
    """The permissions that come with a role.

    :raises ValueError: for one that is not of the form ``area:action``, with ``*`` for either or alone.
    """
    permissions = list(ROLE_PERMISSIONS.get(role, ()))
    for permission in permissions:
        covering(permission)
    return permissions


for _role in ROLE_PERMISSIONS:
    # What is wrong with them stops the start instead of a sign-in.
    permissions_of(_role)

"""The permissions of accounts, from their roles."""

from __future__ import annotations

from typing import Final

import orjson

from config.permissions import ROLE_PERMISSIONS
from database.core.tables.access_rules import covering

MAX_BYTES: Final = 1_200
"""Of the permissions of a role. With the rest of a token they fit into a cookie, of which browsers keep 4 KiB."""


def permissions_of(role: str) -> list[str]:
    """The permissions of a role.

    :raises ValueError: for a permission that is neither ``area:action``, with ``*`` for one or both, nor ``*``; and for
        more of them than fit into a token.
    """
    permissions = list(ROLE_PERMISSIONS.get(role, ()))
    for permission in permissions:
        covering(permission)
    size = len(orjson.dumps(permissions))
    if size > MAX_BYTES:
        raise ValueError(
            f"the permissions of role {role!r} in config/permissions.py have {size} bytes in a token, which has"
            f" room for {MAX_BYTES}; use wildcards such as molecules:*"
        )
    return permissions


for _role in ROLE_PERMISSIONS:
    # Checked at import: an invalid permission stops the start of the application instead of failing sign-ins.
    permissions_of(_role)

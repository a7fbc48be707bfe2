"""Who may do what with the rows of a declared table: ``info["access"]``, read once.

>>> info = {"access": {"read": "owner", "write": "owner", "delete": "permission:notes:delete"}, "owner": "owner_id"}

An action that is left out is nobody's. Otherwise it is for

* ``anyone``,
* ``user``: who is signed in,
* ``owner``: who is signed in, with the rows whose column ``info["owner"]`` has the caller's subject,
* ``permission:<area>:<action>``: who has the permission, by itself or under a wildcard, or the role ``admin``,
* any other text: who has the role of that name, or the role ``admin``.

The rules are for callers. The application itself (no identity, or ``service_role``) is bound by none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from typing import Final
from typing import Literal
from typing import TypeGuard
from typing import get_args

import sqlalchemy as sa

from database.core.context import SERVICE
from database.core.context import Identity

Action = Literal["read", "write", "delete"]
Audience = Literal["anyone", "user", "owner", "role", "permission", "nobody"]

ADMIN: Final = "admin"
"""The role that has all others, and all permissions."""

SIGNED_IN: Final = "authenticated"
"""The database role of a caller with a token."""

_PERMISSION: Final = "permission:"
_PART: Final = r"(?:\*|[A-Za-z0-9_][A-Za-z0-9_.-]*)"
_PATTERN: Final = re.compile(rf"\*|{_PART}:{_PART}")


@lru_cache(maxsize=512)
def covering(permission: str) -> frozenset[str]:
    """Every permission that includes this one: itself, and what has a wildcard in place of a part of it.

    Permissions are compared part by part: ``*`` is any part, and alone it is everything.

    :raises ValueError: unless it is ``area:action``, where either may be ``*``, or ``*`` for everything.
    """
    if _PATTERN.fullmatch(permission) is None:
        raise ValueError(f"a permission is area:action, either of which may be *, or * alone: {permission!r}")
    area, _, action = permission.partition(":")
    action = action or area
    return frozenset({"*", "*:*", f"{area}:*", f"*:{action}", f"{area}:{action}"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom an action is for.

    :ivar name: of the role or the permission.
    """

    audience: Audience
    name: str = ""

    @property
    def own_rows(self) -> bool:
        """Whether it is for the caller's own rows only."""
        return self.audience == "owner"

    @property
    def by_role_alone(self) -> bool:
        """Whether all callers of a database role are alike to it."""
        return self.audience in {"anyone", "user"}

    def admits(self, identity: Identity) -> bool:
        """Whether a caller may do it, to the rows that are theirs if :attr:`own_rows`."""
        if self.audience == "anyone":
            return True
        if identity.role != SIGNED_IN or self.audience == "nobody":
            return False
        if self.audience == "user":
            return True
        if self.audience == "owner":
            return bool(identity.subject)
        role, permissions = _granted(identity.claims)
        if role == ADMIN:
            return True
        return role == self.name if self.audience == "role" else not covering(self.name).isdisjoint(permissions)

    def __str__(self) -> str:
        return f"{self.audience} {self.name}".strip()


NOBODY: Final = Rule("nobody")


def permission_rule(permission: str) -> Rule:
    """The rule that asks for a permission. :raises ValueError: as of :func:`covering`."""
    covering(permission)
    return Rule("permission", permission)


@dataclass(frozen=True, slots=True)
class TableRules:
    """The rules of one table.

    :ivar owner: the column that says whose a row is, where a rule asks for it.
    :ivar declared: whether the table says anything at all about callers.
    """

    read: Rule = NOBODY
    write: Rule = NOBODY
    delete: Rule = NOBODY
    owner: str | None = None
    declared: bool = True

    def of(self, action: Action) -> Rule:
        """The rule for an action."""
        rule: Rule = getattr(self, action)
        return rule


INTERNAL: Final = TableRules()
UNDECLARED: Final = TableRules(declared=False)


def is_caller(identity: Identity | None) -> TypeGuard[Identity]:
    """Whether the rules bind: the application itself is no caller."""
    return identity is not None and identity.role != SERVICE.role


def rules_of(table: sa.Table) -> TableRules:
    """What a table declares. :raises ValueError: says what is wrong with it."""
    if table.info.get("internal"):
        return INTERNAL
    if "access" not in table.info:
        if "owner" in table.info:
            raise ValueError(f"table {table.name!r} names an owner, but declares no access")
        return UNDECLARED
    access = table.info["access"]
    if not isinstance(access, Mapping) or not access.keys() <= set(get_args(Action)):
        raise ValueError(f"the access of table {table.name!r} must say who may read, write and delete")
    read, write, delete = (_rule(table, action, access) for action in get_args(Action))
    return TableRules(read, write, delete, _owner(table, owned=any(rule.own_rows for rule in (read, write, delete))))


def _rule(table: sa.Table, action: Action, access: Mapping[Action, object]) -> Rule:
    if action not in access:
        return NOBODY
    place, audience = f"the {action} access of table {table.name!r}", access[action]
    match audience:
        case "anyone" | "user" | "owner":
            return Rule(audience)
        case str() if audience.startswith(_PERMISSION):
            try:
                return permission_rule(audience.removeprefix(_PERMISSION))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
        case str() if audience.strip() and ":" not in audience:
            return Rule("role", audience)
    raise ValueError(f"{place} must be anyone, user, owner, permission:<area>:<action> or a role, not {audience!r}")


def _owner(table: sa.Table, *, owned: bool) -> str | None:
    name = table.info.get("owner")
    if not owned:
        if name is not None:
            raise ValueError(f"table {table.name!r} names an owner, whom none of its rules is for")
        return None
    column = table.columns.get(name) if isinstance(name, str) else None
    if column is None or not isinstance(column.type, sa.String):
        raise ValueError(f'table {table.name!r} needs info["owner"], the text column that says whose a row is')
    return str(column.name)


def _granted(claims: Mapping[str, Any]) -> tuple[object, list[str]]:
    """The application's role and permissions of a caller; what is not in their place is not granted."""
    metadata = claims.get("app_metadata")
    if not isinstance(metadata, Mapping):
        return None, []
    permissions = metadata.get("permissions")
    granted = [one for one in permissions if isinstance(one, str)] if isinstance(permissions, list | tuple) else []
    return metadata.get("role"), granted

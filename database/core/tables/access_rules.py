"""Who may do what with the rows of a declared table: ``info["access"]``, read once.

>>> info = {
...     "access": {"read": ["owner", "role:staff"], "write": "owner", "delete": "permission:notes:delete"},
...     "owner": "owner_id",
... }

An action that is left out is nobody's. Otherwise it is for

* ``anyone``,
* ``user``: who is signed in,
* ``owner``: who is signed in, with the rows whose column ``info["owner"]`` has the caller's subject,
* ``role:<name>``: who has the role of that name, or the role ``admin``,
* ``permission:<area>:<action>``: who has the permission, by itself or under a wildcard, or the role ``admin``,

or, as a list, for whoever one of these is true of. An owner who has one of the other grants too may act on all rows,
and give them away. A role may stand alone without ``role:``, but not in a list.

The rules are for callers. The application itself (``service_role``) is bound by none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
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
Audience = Literal["anyone", "user", "owner", "role", "permission"]
Reach = Literal["all rows", "own rows", "no rows"]

ADMIN: Final = "admin"
"""The role that has all others, and all permissions."""

SIGNED_IN: Final = "authenticated"
"""The database role of a caller with a token."""

INFO: Final = ("access", "owner", "internal")
"""The keys of a table's ``info`` that mean something here."""

_ALLOWED: Final = "anyone, user, owner, role:<name>, permission:<area>:<action>, or a list of these"
_PART: Final = r"(?:\*|[A-Za-z0-9_][A-Za-z0-9_.-]*)"
_PATTERN: Final = re.compile(rf"\*|{_PART}:{_PART}")
_ROLE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


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
    """One kind of callers that an action is for.

    :ivar name: of the role or the permission.
    """

    audience: Audience
    name: str = ""

    def admits(self, identity: Identity) -> bool:
        """Whether a caller is of this kind; an owner, to the rows that are theirs."""
        if self.audience == "anyone":
            return True
        if identity.role != SIGNED_IN:
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


@dataclass(frozen=True, slots=True)
class Access:
    """Whom an action is for: those whom any of the rules admits; nobody, if there are none."""

    rules: tuple[Rule, ...] = ()

    def reach(self, identity: Identity) -> Reach:
        """Which rows a caller may do it to."""
        admitting = [rule for rule in self.rules if rule.admits(identity)]
        if not admitting:
            return "no rows"
        return "own rows" if all(rule.audience == "owner" for rule in admitting) else "all rows"

    def names(self, *audiences: Audience) -> bool:
        """Whether one of these audiences is among those that it is for."""
        return any(rule.audience in audiences for rule in self.rules)

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules)) or "nobody"


NOBODY: Final = Access()


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

    read: Access = NOBODY
    write: Access = NOBODY
    delete: Access = NOBODY
    owner: str | None = None
    declared: bool = True

    def of(self, action: Action) -> Access:
        """Whom an action is for."""
        access: Access = getattr(self, action)
        return access


INTERNAL: Final = TableRules()
UNDECLARED: Final = TableRules(declared=False)


def is_caller(identity: Identity | None) -> TypeGuard[Identity]:
    """Whether the rules bind: the application itself is no caller."""
    return identity is not None and identity.role != SERVICE.role


def rules_of(table: sa.Table) -> TableRules:
    """What a table declares. :raises ValueError: says what is wrong with it."""
    _refuse_misspelled(table)
    if table.info.get("internal"):
        return INTERNAL
    if "access" not in table.info:
        if "owner" in table.info:
            raise ValueError(f"table {table.name!r} names an owner, but declares no access")
        return UNDECLARED
    access = table.info["access"]
    if not isinstance(access, Mapping) or not access.keys() <= set(get_args(Action)):
        raise ValueError(f"the access of table {table.name!r} must say who may read, write and delete")
    read, write, delete = (_access(table, action, access) for action in get_args(Action))
    owned = any(granted.names("owner") for granted in (read, write, delete))
    return TableRules(read, write, delete, _owner(table, owned=owned))


def _refuse_misspelled(table: sa.Table) -> None:
    """Refuse a key that is nearly one of ours, which would leave the table closed or open without a word."""
    for key in table.info.keys() - set(INFO):
        if isinstance(key, str) and (near := get_close_matches(key.lower(), INFO, 1, 0.75)):
            raise ValueError(f"the info of table {table.name!r} has {key!r}; is {near[0]!r} meant?")


def _access(table: sa.Table, action: Action, access: Mapping[Action, object]) -> Access:
    if action not in access:
        return NOBODY
    place, declared = f"the {action} access of table {table.name!r}", access[action]
    match declared:
        case list() if declared:
            return Access(tuple(dict.fromkeys(_rule(place, one, one) for one in declared)))
        case str():
            role = "" if declared in get_args(Audience) or ":" in declared else "role:"
            return Access((_rule(place, f"{role}{declared}", declared),))
    raise ValueError(f"{place} must be {_ALLOWED}; not {declared!r}")


def _rule(place: str, text: object, declared: object) -> Rule:
    """One kind of callers. :raises ValueError: unless it is spelled as :data:`_ALLOWED` says."""
    kind, _, name = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind in {"anyone", "user", "owner"} and text == kind:
        return Rule(kind)  # type: ignore[arg-type]  # the line above
    if kind == "role" and _ROLE.fullmatch(name):
        return Rule("role", name)
    if kind == "permission":
        try:
            return permission_rule(name)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
    raise ValueError(f"{place} must be {_ALLOWED}; not {declared!r}. A name has letters, digits and _ . -")


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

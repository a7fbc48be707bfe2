"""The access rules of a declared table, parsed from ``info["access"]``.

>>> info = {
...     "access": {"read": ["owner", "role:staff"], "write": "owner", "delete": "permission:notes:delete"},
...     "owner": "owner_id",
... }

Nobody may perform an action that is left out. Otherwise an action is allowed for

* ``anyone``: every caller,
* ``user``: callers who are signed in,
* ``owner``: callers who are signed in, for the rows whose column ``info["owner"]`` has the caller's subject,
* ``role:<name>``: callers with that role, or with the role ``admin``,
* ``permission:<area>:<action>``: callers with that permission, or a wildcard that covers it, or the role ``admin``,

or for a list of these, if one of them applies. An owner who has another of the grants as well may act on all rows,
and assign them to other owners. A role may be written without ``role:``, but not in a list.

The rules apply to callers only. The application itself (``service_role``) may do everything.
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
"""The role that includes all other roles and all permissions."""

SIGNED_IN: Final = "authenticated"
"""The database role of a caller with a token."""

INFO: Final = ("access", "owner", "internal", "adopted", "read_only", "merge_groups", "changed_at")
"""The keys of a table's ``info`` that Isthmus reads."""

_ALLOWED: Final = "anyone, user, owner, role:<name>, permission:<area>:<action>, or a list of these"
_PART: Final = r"(?:\*|[A-Za-z0-9_][A-Za-z0-9_.-]*)"
_PATTERN: Final = re.compile(rf"\*|{_PART}:{_PART}")
_ROLE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@lru_cache(maxsize=512)
def covering(permission: str) -> frozenset[str]:
    """Return every permission that includes this one: itself, and those with a wildcard for one of its parts.

    Permissions are compared part by part: ``*`` matches any part; a single ``*`` matches every permission.

    :raises ValueError: if it is neither ``area:action``, where each part may be ``*``, nor a single ``*``.
    """
    if _PATTERN.fullmatch(permission) is None:
        raise ValueError(
            f"a permission must be area:action, where each part may be *, or a single *; not {permission!r}"
        )
    area, _, action = permission.partition(":")
    action = action or area
    return frozenset({"*", "*:*", f"{area}:*", f"*:{action}", f"{area}:{action}"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One grant of an action.

    :ivar name: the name of the role or the permission; otherwise empty.
    """

    audience: Audience
    name: str = ""

    def admits(self, identity: Identity) -> bool:
        """Whether the rule applies to a caller; for ``owner``, to the caller's own rows."""
        if self.audience == "anyone":
            return True
        if identity.role != SIGNED_IN:
            return False
        if self.audience == "user":
            return True
        if self.audience == "owner":
            return bool(identity.subject)
        role, permissions = granted(identity.claims)
        if role == ADMIN:
            return True
        return role == self.name if self.audience == "role" else not covering(self.name).isdisjoint(permissions)

    def __str__(self) -> str:
        return f"{self.audience} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Access:
    """The grants of an action: a caller needs one of the rules. Without rules, nobody may perform it."""

    rules: tuple[Rule, ...] = ()

    def reach(self, identity: Identity) -> Reach:
        """The rows on which a caller may perform the action."""
        admitting = [rule for rule in self.rules if rule.admits(identity)]
        if not admitting:
            return "no rows"
        return "own rows" if all(rule.audience == "owner" for rule in admitting) else "all rows"

    def names(self, *audiences: Audience) -> bool:
        """Whether a rule has one of these audiences."""
        return any(rule.audience in audiences for rule in self.rules)

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules)) or "nobody"


NOBODY: Final = Access()


def permission_rule(permission: str) -> Rule:
    """The rule that requires a permission. :raises ValueError: as :func:`covering`."""
    covering(permission)
    return Rule("permission", permission)


@dataclass(frozen=True, slots=True)
class TableRules:
    """The rules of one table.

    :ivar owner: the column with the owner's subject; None if no rule needs it.
    :ivar declared: whether the table declares access rules at all.
    """

    read: Access = NOBODY
    write: Access = NOBODY
    delete: Access = NOBODY
    owner: str | None = None
    declared: bool = True

    def of(self, action: Action) -> Access:
        """The grants of an action."""
        access: Access = getattr(self, action)
        return access


INTERNAL: Final = TableRules()
UNDECLARED: Final = TableRules(declared=False)


def is_caller(identity: Identity | None) -> TypeGuard[Identity]:
    """Whether the rules apply to an identity: they do not apply to the application itself."""
    return identity is not None and identity.role != SERVICE.role


def rules_of(table: sa.Table) -> TableRules:
    """Parse the access rules that a table declares. :raises ValueError: says what is wrong with them."""
    _refuse_misspelled(table)
    if table.info.get("internal"):
        return INTERNAL
    if "access" not in table.info:
        if "owner" in table.info:
            raise ValueError(f'table {table.name!r} has info["owner"] but no info["access"]; declare its access rules')
        return UNDECLARED
    read, write, delete = granted_by(table.info["access"], f"table {table.name!r}")
    if table.info.get("read_only") and (write, delete) != (NOBODY, NOBODY):
        raise ValueError(f"table {table.name!r} is read-only; remove its rules for write and delete")
    owned = any(granted.names("owner") for granted in (read, write, delete))
    return TableRules(read, write, delete, _owner(table, owned=owned))


def granted_by(access: object, place: str) -> tuple[Access, Access, Access]:
    """Parse the grants of reading, writing and deleting.

    :param place: what they are about, for messages.
    :raises ValueError: says what is wrong with them.
    """
    if not isinstance(access, Mapping) or not access.keys() <= set(get_args(Action)):
        raise ValueError(f"the access of {place} must be a dict with the keys read, write and delete")
    read, write, delete = (_access(place, action, access) for action in get_args(Action))
    return read, write, delete


def _refuse_misspelled(table: sa.Table) -> None:
    """Refuse a key that is almost one of ours: a typing error would silently change who has access."""
    for key in table.info.keys() - set(INFO):
        if isinstance(key, str) and (near := get_close_matches(key.lower(), INFO, 1, 0.75)):
            raise ValueError(f"the info of table {table.name!r} has the key {key!r}; did you mean {near[0]!r}?")


def _access(of: str, action: Action, access: Mapping[Action, object]) -> Access:
    if action not in access:
        return NOBODY
    place, declared = f"the {action} access of {of}", access[action]
    match declared:
        case list() if declared:
            return Access(tuple(dict.fromkeys(_rule(place, one, one) for one in declared)))
        case str():
            role = "" if declared in get_args(Audience) or ":" in declared else "role:"
            return Access((_rule(place, f"{role}{declared}", declared),))
    raise ValueError(f"{place} must be {_ALLOWED}; not {declared!r}")


def _rule(place: str, text: object, declared: object) -> Rule:
    """Parse one grant. :raises ValueError: if it does not have one of the forms of :data:`_ALLOWED`."""
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
    raise ValueError(f"{place} must be {_ALLOWED}; not {declared!r}. Names may contain letters, digits, _ . and -")


def _owner(table: sa.Table, *, owned: bool) -> str | None:
    name = table.info.get("owner")
    if not owned:
        if name is not None:
            raise ValueError(f'table {table.name!r} has info["owner"], but none of its access rules is for "owner"')
        return None
    column = table.columns.get(name) if isinstance(name, str) else None
    if column is None or not isinstance(column.type, sa.String | sa.Uuid):
        what = "the name of the text column, or Uuid column, with the owner's id"
        raise ValueError(f'table {table.name!r} needs info["owner"], {what}')
    return str(column.name)


def granted(claims: Mapping[str, Any]) -> tuple[object, list[str]]:
    """The application role and the permissions in a caller's claims; malformed ones are not granted."""
    metadata = claims.get("app_metadata")
    if not isinstance(metadata, Mapping):
        return None, []
    permissions = metadata.get("permissions")
    granted = [one for one in permissions if isinstance(one, str)] if isinstance(permissions, list | tuple) else []
    return metadata.get("role"), granted

"""Guards of routes, for apps whose callers are identified by :mod:`auth.middleware`."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any
from typing import ParamSpec

from flask import current_app
from flask import g

from auth.errors import AccessDenied
from auth.errors import AuthenticationFailed
from database.core.context import current_context
from database.core.tables.access_rules import ADMIN
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import permission_rule

P = ParamSpec("P")


def jwt_required(view: Callable[P, Any]) -> Callable[P, Any]:
    """Only for signed-in callers.

    :raises AuthenticationFailed: when called without a token.
    """
    return _guarded(view, _require_user)


def role_required(role: str | Iterable[str]) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Only for callers with the role, or one of the roles; ``admin`` has them all.

    :raises AuthenticationFailed: when called without a token.
    :raises AccessDenied: when the caller lacks the role.
    :raises ValueError: if no role is named.
    """
    roles = (role,) if isinstance(role, str) else tuple(role)
    if not roles:
        raise ValueError("role_required needs a role")

    def require_role() -> None:
        _require_user()
        if g.user_data["role"] not in (*roles, ADMIN):
            raise AccessDenied(f"Access denied. Required role: {', '.join(roles)}")

    return lambda view: _guarded(view, require_role)


def permission_required(*permissions: str) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Only for callers with the permission, or one of the permissions, themselves or under a wildcard; ``admin`` has
    them all.

    They are those in the token's ``app_metadata.permissions``, such as ``molecules:write``, ``molecules:*``,
    ``*:read`` and ``*``.

    :raises AuthenticationFailed: when called without a token.
    :raises AccessDenied: when the caller lacks the permission.
    :raises ValueError: if no permission is named, or one is not of the form ``area:action``.
    """
    rules = [permission_rule(permission) for permission in permissions]
    if not rules:
        raise ValueError("permission_required needs a permission")
    return _admitting(Access(tuple(rules)), f"permission: {', '.join(permissions)}")


def access_required(access: Access) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Only for callers whom a table's rules admit, be it to their own rows.

    :raises AuthenticationFailed: when called without a token, unless that is for anyone.
    :raises AccessDenied: when the caller is admitted to no rows.
    """
    if access.names("anyone"):
        return lambda view: view
    if access.names("user", "owner") or not access.rules:
        return jwt_required
    roles = ", ".join(rule.name for rule in access.rules if rule.audience == "role")
    permissions = ", ".join(rule.name for rule in access.rules if rule.audience == "permission")
    needed = [f"{kind}: {names}" for kind, names in (("role", roles), ("permission", permissions)) if names]
    return _admitting(access, " or ".join(needed))


def convex_identity_required(view: Callable[P, Any]) -> Callable[P, Any]:
    """Only for callers whose token Convex can be asked with.

    :raises AuthenticationFailed: when called without one; its code is ``unauthorized_convex``.
    """
    return _guarded(view, _require_convex_identity)


def _admitting(access: Access, needed: str) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    def require() -> None:
        _require_user()
        identity = current_context.get().identity
        if identity is None or access.reach(identity) == "no rows":
            raise AccessDenied(f"Access denied. Required {needed}")

    return lambda view: _guarded(view, require)


def _require_user() -> None:
    if g.get("user_id") is None:
        raise AuthenticationFailed


def _require_convex_identity() -> None:
    if g.get("convex_identity") is None:
        raise AuthenticationFailed("Convex authentication required", code="unauthorized_convex")


def _guarded(view: Callable[P, Any], check: Callable[[], None]) -> Callable[P, Any]:
    if iscoroutinefunction(view):
        return _guarded(_run_by_flask(view), check)

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        check()
        return view(*args, **kwargs)

    return guarded


def _run_by_flask(view: Callable[P, Any]) -> Callable[P, Any]:
    @wraps(view)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        return current_app.ensure_sync(view)(*args, **kwargs)

    return run

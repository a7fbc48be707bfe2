"""Guards of routes. They need :mod:`auth.middleware`, which identifies the caller of each request."""

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
    """Allow signed-in callers only.

    :raises AuthenticationFailed: if the request has no token.
    """
    return _guarded(view, _require_user)


def role_required(role: str | Iterable[str]) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Allow callers with the role, or with one of the roles. ``admin`` has every role.

    :raises AuthenticationFailed: if the request has no token.
    :raises AccessDenied: if the caller lacks the role.
    :raises ValueError: if no role is given.
    """
    roles = (role,) if isinstance(role, str) else tuple(role)
    if not roles:
        raise ValueError("role_required needs at least one role")

    def require_role() -> None:
        _require_user()
        if g.user_data["role"] not in (*roles, ADMIN):
            raise AccessDenied(f"Access denied. Required role: {', '.join(roles)}")

    return lambda view: _guarded(view, require_role)


def permission_required(*permissions: str) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Allow callers with the permission, or with one of the permissions, exactly or by a wildcard. ``admin`` has every
    permission.

    A caller's permissions are in the token's ``app_metadata.permissions``, such as ``molecules:write``,
    ``molecules:*``, ``*:read`` and ``*``.

    :raises AuthenticationFailed: if the request has no token.
    :raises AccessDenied: if the caller lacks the permission.
    :raises ValueError: if no permission is given, or one does not have the form ``area:action``.
    """
    rules = [permission_rule(permission) for permission in permissions]
    if not rules:
        raise ValueError("permission_required needs at least one permission")
    return _admitting(Access(tuple(rules)), f"permission: {', '.join(permissions)}")


def access_required(access: Access) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Allow callers to whom the access rules of a table give at least their own rows.

    :raises AuthenticationFailed: if the request has no token and the rules do not include ``anyone``.
    :raises AccessDenied: if the rules give the caller no rows.
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
    """Allow callers whose token carries a Convex identity.

    :raises AuthenticationFailed: if the request has no such token; with the code ``unauthorized_convex``.
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
        _require_middleware()
        raise AuthenticationFailed


def _require_middleware() -> None:
    if "user_id" not in g:
        raise LookupError("this app identifies no callers; call auth.middleware.init_app(app, bridge)")


def _require_convex_identity() -> None:
    if g.get("convex_identity") is None:
        _require_middleware()
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

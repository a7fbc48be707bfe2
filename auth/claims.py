"""The claims of an access token: creation, validation, and the user data in them.

Flask, Supabase and Convex accept the same token. ``role`` is the *Postgres* role and always ``authenticated``. The
application's role is in ``app_metadata``, where Supabase keeps data that users cannot change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import TypeGuard
from uuid import uuid4

from auth.errors import InvalidToken
from database.core.tables.access_rules import granted

Claims = Mapping[str, Any]
"""The claims of a token. Do not modify them: all requests with the same token share one object."""

DATABASE_ROLE = "authenticated"
DEFAULT_ROLE = "user"
REQUIRED = ("iss", "aud", "sub", "iat", "exp", "jti")
MAX_SUBJECT = 255
_TEXTS = ("sub", "jti", "sid")


def make_claims(
    user_id: str,
    user_data: Mapping[str, Any],
    *,
    issuer: str,
    audience: str,
    issued_at: int,
    expiry: int,
    session_id: str | None = None,
) -> dict[str, Any]:
    """The claims of a new token.

    :param user_data: ``email``, ``name``, ``role`` (the application's) and ``permissions``, each optional; other
        members are ignored.
    :param issued_at: seconds since the epoch.
    :param expiry: lifetime of the token in seconds.
    :param session_id: the id of the token's session, for ``sid``.
    """
    app_metadata: dict[str, Any] = {"role": user_data.get("role") or DEFAULT_ROLE}
    if permissions := user_data.get("permissions"):
        app_metadata["permissions"] = list(permissions)
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": user_id,
        "iat": issued_at,
        "exp": issued_at + expiry,
        "jti": uuid4().hex,
        "role": DATABASE_ROLE,
        "app_metadata": app_metadata,
    }
    claims.update({name: user_data[name] for name in ("email", "name") if user_data.get(name)})
    if session_id is not None:
        claims["sid"] = session_id
    return {**claims, "convex": _convex_claim(claims)}


def check_claims(
    claims: Claims, *, issuer: str, audience: str, now: float, leeway: float, required: Iterable[str] = REQUIRED
) -> None:
    """Validate the claims of a token with a valid signature.

    :param now: seconds since the epoch.
    :param leeway: seconds by which the clocks of issuer and verifier may differ.
    :param required: the claims that the token must have; the first five of ``REQUIRED`` at least.
    :raises InvalidToken: with the first problem found.
    """
    for name in required:
        if claims.get(name) is None:
            raise InvalidToken(f"claim {name} is missing")
    if claims["iss"] != issuer:
        raise InvalidToken("wrong issuer")
    if not _is_for(audience, claims["aud"]):
        raise InvalidToken("wrong audience")
    for name in _TEXTS:
        if name in claims and (not isinstance(claims[name], str) or not claims[name]):
            raise InvalidToken(f"claim {name} must be a string that is not empty")
    # A token with another database role, such as service_role, was issued for the database, not for this API.
    if claims.get("role", DATABASE_ROLE) != DATABASE_ROLE:
        raise InvalidToken("wrong database role")
    _check_times(claims, now, leeway)


def is_subject(value: object) -> TypeGuard[str]:
    """Whether a claim is a user's id at an external issuer: printable text that fits a column with an owner's id."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_SUBJECT


def _is_for(audience: str, claimed: object) -> bool:
    return claimed == audience or (isinstance(claimed, list) and audience in claimed)


def _check_times(claims: Claims, now: float, leeway: float) -> None:
    if _moment(claims, "exp") + leeway <= now:
        raise InvalidToken("expired")
    if _moment(claims, "iat") - leeway > now:
        raise InvalidToken("issued in the future")
    if "nbf" in claims and _moment(claims, "nbf") - leeway > now:
        raise InvalidToken("not valid yet")


def _moment(claims: Claims, name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidToken(f"claim {name} must be a time in seconds")
    return value


def user_data(claims: Claims) -> dict[str, Any]:
    """The user data in a token: ``email``, ``role`` (the application's), ``name``, ``permissions``."""
    role, permissions = granted(claims)
    return {
        "email": claims.get("email"),
        "role": role if isinstance(role, str) and role else DEFAULT_ROLE,
        "name": claims.get("name") or "",
        "permissions": permissions,
    }


def convex_identity(claims: Claims, token: str, user: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The identity in the form that Convex clients expect; ``expiry`` in seconds since the epoch.

    :param user: the claims' :func:`user_data`, if the caller has computed it already.
    """
    return {
        **_convex_claim(claims, user),
        "token": token,
        "authType": "jwt",
        "expiry": claims["exp"],
    }


def _convex_claim(claims: Claims, user: Mapping[str, Any] | None = None) -> dict[str, Any]:
    subject = claims["sub"]
    user = user or user_data(claims)
    return {
        "identity": subject,
        "tokenIdentifier": user["email"] or subject,
        "traits": {"role": user["role"], "name": user["name"]},
    }

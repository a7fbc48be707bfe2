"""The credentials of a request: the project's API keys and the caller's own token."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.errors import PermissionDenied

_PREFIXES = {"sb_secret_": "service_role", "sb_publishable_": "anon"}
_SERVICE_ROLE = "service_role"
_AUTHENTICATED = "authenticated"


def is_secret(key: str) -> bool:
    """Whether an API key is secret (bypasses row level security), by its prefix or by a legacy key's role claim.

    The claim is not verified here: the project does that, and here it only decides how the key is used.

    :raises ValueError: if it is not an API key of a Supabase project; the message does not contain it.
    """
    role = next((role for prefix, role in _PREFIXES.items() if key.startswith(prefix)), None) or _claimed_role(key)
    if role not in {_SERVICE_ROLE, "anon"}:
        raise ValueError("must be a secret or publishable API key of a Supabase project")
    return role == _SERVICE_ROLE


class ApiKeys:
    """The API keys of one project.

    With a publishable key every user's request carries the user's token, and row level security applies. With only a
    secret key every request has the service role's rights, and only the application's access rules apply.

    :param key: ``SUPABASE_KEY``, a secret or a publishable key.
    :param anon_key: ``SUPABASE_ANON_KEY``, the publishable key, if ``key`` is secret.
    :raises ValueError: names the setting that is missing or holds another kind of key.
    """

    def __init__(self, key: str | None, anon_key: str | None = None) -> None:
        if not key:
            raise ValueError("SUPABASE_KEY must be the project's secret or publishable API key")
        secret = _checked("SUPABASE_KEY", key)
        if anon_key and _checked("SUPABASE_ANON_KEY", anon_key):
            raise ValueError("SUPABASE_ANON_KEY must be the publishable key, not a secret one")
        self._secret = key if secret else None
        self._publishable = anon_key or (None if secret else key)

    @property
    def row_security(self) -> bool:
        """Whether the project applies row level security to each caller."""
        return self._publishable is not None

    @property
    def has_secret(self) -> bool:
        """Whether there is a secret key, which the application's own requests need."""
        return self._secret is not None

    @property
    def application(self) -> Identity:
        """The identity for the application's own health check: the service with a secret key, else anonymous."""
        return SERVICE if self.has_secret else ANONYMOUS

    @property
    def public(self) -> str:
        """The key for requests without an identity, such as a sign-in."""
        return self._publishable or self._secret or ""

    def headers(self, identity: Identity | None) -> dict[str, str]:
        """The headers of a request on behalf of ``identity``; None is the application itself.

        :raises PermissionDenied: if the required secret key or user token is missing.
        """
        if self._publishable is None or identity is None or identity.role == _SERVICE_ROLE:
            return _headers(self._service_key())
        if identity.token:
            return _headers(self._publishable, identity.token)
        if identity.role == _AUTHENTICATED:
            raise PermissionDenied("this call for a signed-in user has no access token, which Supabase requires")
        return _headers(self._publishable)

    def party(self, identity: Identity | None) -> dict[str, Any] | None:
        """The role and claims of one party of a commit; None for the application itself.

        :raises PermissionDenied: without the secret key, and where :meth:`headers` raises it.
        """
        if self._secret is None:
            raise PermissionDenied(
                "a transaction with several identities needs the project's secret key; set SUPABASE_KEY to it"
            )
        if identity is None or identity.role == _SERVICE_ROLE:
            return None
        self.headers(identity)
        role = _AUTHENTICATED if identity.role == _AUTHENTICATED else "anon"
        return {"role": role, "claims": {**identity.claims, "role": role, "sub": identity.subject}}

    def _service_key(self) -> str:
        if self._secret is None:
            raise PermissionDenied("the application's own calls need the project's secret key; set SUPABASE_KEY to it")
        return self._secret

    def __repr__(self) -> str:
        return f"<{type(self).__name__} secret={self._secret is not None} publishable={self._publishable is not None}>"


def _headers(key: str, token: str | None = None) -> dict[str, str]:
    return {"apikey": key, "Authorization": f"Bearer {token or key}"}


def _checked(setting: str, key: str) -> bool:
    try:
        return is_secret(key)
    except ValueError as error:
        raise ValueError(f"{setting}: {error}") from None


def _claimed_role(key: str) -> str | None:
    parts = key.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    role = claims.get("role") if isinstance(claims, dict) else None
    return role if isinstance(role, str) else None

"""The ``Authorization`` header of a request to Convex, which carries the caller's identity."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Final

import orjson

from database.core.context import SERVICE
from database.core.context import Identity
from database.core.errors import CredentialsRefused

SERVICE_ISSUER: Final = "isthmus"
"""The issuer of the application's own identity. No token can have it, because no auth provider is configured for it."""

_OWN_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})


class Authorization:
    """The values of the ``Authorization`` header for one deployment.

    :param key: the deploy key; without it only public functions can be called.
    :param user_token: the token to use when the context has no identity; by default the application's own identity.
    """

    def __init__(self, key: str | None, user_token: str | None) -> None:
        self._key = key
        self._user_token = user_token

    def admin(self) -> str:
        """For Isthmus's own functions. :raises CredentialsRefused: without a deploy key."""
        if self._key is None:
            raise CredentialsRefused("this operation needs the Convex deploy key; set CONVEX_DEPLOYMENT_KEY")
        return f"Convex {self._key}"

    def acting(self, identity: Identity | None) -> str:
        """For a transaction that calls functions: the deploy key plus the caller's identity, which functions see."""
        if identity is not None and identity.subject is None and identity.role != SERVICE.role:
            return self.admin()
        text = base64.b64encode(orjson.dumps(_attributes(identity))).decode()
        return f"{self.admin()}:{text}"

    def caller(self, identity: Identity | None) -> str | None:
        """For a function of the application: the caller's own token if it has one; None for an anonymous caller."""
        token = self._user_token if identity is None else identity.token
        if token is not None:
            return f"Bearer {token}"
        if identity is not None and identity.subject is None and identity.role != SERVICE.role:
            return None
        return self.acting(identity)


def _attributes(identity: Identity | None) -> dict[str, Any]:
    """The identity as a function sees it: the token's claims, flattened as Convex flattens them."""
    if identity is None or identity.subject is None:
        return {"issuer": SERVICE_ISSUER, "subject": "service", "tokenIdentifier": f"{SERVICE_ISSUER}|service"}
    issuer = str(identity.claims.get("iss") or "https://isthmus.invalid")
    own = {"issuer": issuer, "subject": identity.subject, "tokenIdentifier": f"{issuer}|{identity.subject}"}
    rest = {name: value for name, value in identity.claims.items() if name not in _OWN_CLAIMS}
    return dict(_flat(rest, "")) | own


def _flat(claims: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in claims.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

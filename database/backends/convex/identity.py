"""How a request to Convex says who asks."""

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
"""The issuer of the application's own identity, which no token can have: providers are configured by issuer."""

_OWN_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})


class Authorization:
    """The values of the ``Authorization`` header for one deployment.

    :param key: the deploy key; without it only public functions can be called.
    :param user_token: who asks when the context names nobody; the application itself by default.
    """

    def __init__(self, key: str | None, user_token: str | None) -> None:
        self._key = key
        self._user_token = user_token

    def admin(self) -> str:
        """For Isthmus' own functions. :raises CredentialsRefused: without a deploy key."""
        if self._key is None:
            raise CredentialsRefused("Convex needs a deploy key for this; set CONVEX_DEPLOYMENT_KEY")
        return f"Convex {self._key}"

    def acting(self, identity: Identity | None) -> str:
        """For a transaction that calls functions: the deploy key, with the caller's identity for the functions."""
        if identity is not None and identity.subject is None and identity.role != SERVICE.role:
            return self.admin()
        text = base64.b64encode(orjson.dumps(_attributes(identity))).decode()
        return f"{self.admin()}:{text}"

    def caller(self, identity: Identity | None) -> str | None:
        """For an application's function: the caller's own token where there is one; None for an anonymous caller."""
        token = self._user_token if identity is None else identity.token
        if token is not None:
            return f"Bearer {token}"
        if identity is not None and identity.subject is None and identity.role != SERVICE.role:
            return None
        return self.acting(identity)


def _attributes(identity: Identity | None) -> dict[str, Any]:
    """The identity as a function sees it: a token's claims flattened, as Convex does with them."""
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

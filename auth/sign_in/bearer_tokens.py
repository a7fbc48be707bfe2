"""Access tokens of external issuers as ``Authorization: Bearer``, such as those of a project that uses Supabase Auth.

A token is verified by its signature, issuer, audience, times and database role, as Supabase's own HTTP interface does.
The issuer is not asked whether the user has signed out, so a token is valid until it expires.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from typing import Any
from typing import Final

from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode

from auth.claims import Claims
from auth.claims import check_claims
from auth.claims import is_subject
from auth.errors import InvalidToken
from auth.sign_in.external_issuers import LEEWAY
from auth.sign_in.external_issuers import MAX_TOKEN_BYTES
from auth.sign_in.external_issuers import SUBJECT
from auth.sign_in.external_issuers import ExternalTokens
from auth.sign_in.external_issuers import external_tokens
from auth.verification import CACHE_SECONDS
from auth.verification import MAX_CACHED
from auth.verification import REFUSED_HEADERS
from auth.verification import parsed_claims
from auth.verification import parsed_header
from auth.verification import signature_scheme
from config.sign_in import ROLE_CLAIM
from config.sign_in import ExternalIssuer
from database.core.clock import utc_now
from database.core.lifecycle import rebuild_after_fork

# Without ``jti``, which Supabase Auth does not issue. With ``role``: a token without one would be the role anon there.
_REQUIRED: Final = ("iss", "aud", "sub", "iat", "exp", "role")


class BearerTokens:
    """Verifies the access tokens of the issuers with ``bearer``, and caches verified ones for ``CACHE_SECONDS``.

    :param tokens: the issuers with their keys.
    :param now: the wall clock, aware.
    """

    def __init__(self, tokens: ExternalTokens, *, now: Callable[[], datetime] = utc_now) -> None:
        self._tokens = tokens
        self._now = now
        self._create_runtime_state()
        rebuild_after_fork(self, BearerTokens._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._passed: dict[str, tuple[float, Claims]] = {}
        self._lock = Lock()

    def verify(self, token: str) -> Claims | None:
        """The claims of a valid token; None for a token that claims to be of none of the issuers.

        Do not modify the claims: all requests with the token share them. ``app_metadata.role`` is the claim that the
        setting ``role_claim`` names.

        :raises InvalidToken: if it is not valid; the reason contains nothing of it.
        :raises IssuerUnavailable: if the issuer's keys cannot be fetched.
        """
        now = self._now().timestamp()
        known = self._passed.get(token)
        if known is not None and now < known[0]:
            return known[1]
        if _claimed_issuer(token) not in self._tokens:
            return None
        claims = self._examined(token, now)
        self._remember(token, claims, now)
        return claims

    def _examined(self, token: str, now: float) -> Claims:
        header = parsed_header(token.partition(".")[0])
        if not REFUSED_HEADERS.isdisjoint(header):
            raise InvalidToken("unsupported header")
        issuer, key = self._tokens.key(_claimed_issuer(token), header)
        claims = parsed_claims(_signed_payload(token, header["alg"], key))
        check_claims(claims, issuer=issuer.issuer, audience=issuer.audience, now=now, leeway=LEEWAY, required=_REQUIRED)
        if not is_subject(claims["sub"]):
            raise InvalidToken(SUBJECT)
        return claims if issuer.role_claim == ROLE_CLAIM else _with_role(claims, issuer.role_claim)

    def _remember(self, token: str, claims: Claims, now: float) -> None:
        with self._lock:
            self._passed.pop(token, None)
            if len(self._passed) >= MAX_CACHED:
                del self._passed[next(iter(self._passed))]
            self._passed[token] = (min(claims["exp"], now + CACHE_SECONDS), claims)


def bearer_tokens(issuers: Iterable[ExternalIssuer], own_issuer: str) -> BearerTokens | None:
    """A verifier for the tokens of those ``issuers`` that have ``bearer``; None if none has.

    :raises ConfigurationError: if one of them is this application.
    """
    accepted = [issuer for issuer in issuers if issuer.bearer]
    return BearerTokens(external_tokens(accepted, own_issuer)) if accepted else None


def _claimed_issuer(token: str) -> object:
    """The claim ``iss`` before verification, which selects the keys; None if it cannot be read."""
    parts = token.split(".") if len(token) <= MAX_TOKEN_BYTES else ()
    if len(parts) != 3:
        return None
    try:
        return parsed_claims(base64url_decode(parts[1])).get("iss")
    except (ValueError, InvalidToken):
        return None


def _signed_payload(token: str, algorithm: str, key: Any) -> bytes:
    try:
        payload: bytes = signature_scheme(algorithm).decode_complete(token, key, algorithms=[algorithm])["payload"]
    except PyJWTError as error:
        raise InvalidToken("wrong signature") from error
    return payload


def _with_role(claims: Claims, path: str) -> Claims:
    """The claims with the one at ``path`` as ``app_metadata.role``, where access rules and policies look for it."""
    role: Any = claims
    for name in path.split("."):
        role = role.get(name) if isinstance(role, Mapping) else None
    metadata = claims.get("app_metadata")
    others = metadata if isinstance(metadata, Mapping) else {}
    return {**claims, "app_metadata": {**others, "role": role if isinstance(role, str) else None}}

"""Sign-in with a token of another issuer, such as Supabase Auth or a company's OpenID Connect provider.

A token is believed as RFC 8725 asks for: the settings decide on its algorithm and where its key comes from, its
header only which of the issuer's keys it is. It says who its owner is at the issuer, and nothing of what they
may do here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import DecodeError
from jwt.exceptions import ExpiredSignatureError
from jwt.exceptions import ImmatureSignatureError
from jwt.exceptions import InvalidAudienceError
from jwt.exceptions import InvalidIssuerError
from jwt.exceptions import InvalidTokenError
from jwt.exceptions import MissingRequiredClaimError
from jwt.exceptions import PyJWTError

from auth.errors import EmailNotVerified
from auth.errors import EmailTaken
from auth.errors import InvalidRegistration
from auth.errors import InvalidToken
from auth.errors import UnknownAccount
from auth.sign_in.accounts import Account
from auth.sign_in.accounts import Accounts
from auth.sign_in.jwks_cache import IssuerKeys
from auth.sign_in.registration import canonical_email
from auth.sign_in.registration import valid_name
from config.settings import ConfigurationError
from config.sign_in import ExternalIssuer
from database.adapter.interface import Database
from database.core.errors import ConstraintViolated
from database.core.operations import Get
from database.core.operations import Insert
from database.unit_of_work import own_transaction

TABLE = "isthmus_identities"

LEEWAY = 30.0
"""Seconds by which the issuer's clock may differ from ours."""
MAX_TOKEN_BYTES = 16 * 1024
MAX_SUBJECT = 255

_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_REASONS: dict[type[PyJWTError], str] = {
    ExpiredSignatureError: "expired",
    ImmatureSignatureError: "not valid yet",
    InvalidAudienceError: "wrong audience",
    InvalidIssuerError: "wrong issuer",
    MissingRequiredClaimError: "a required claim is missing",
    DecodeError: "malformed, or wrong signature",
}


@dataclass(frozen=True, slots=True)
class ExternalUser:
    """Who a verified token is about.

    :ivar subject: their name at the issuer.
    :ivar email: None unless the issuer has verified it, and it has the form of an address.
    :ivar name: as the token has it, of any type.
    """

    issuer: str
    subject: str
    email: str | None
    name: object


class ExternalTokens:
    """Verifies the tokens of the issuers that the settings name.

    :param issuers: each with its keys; made from ``AUTH_FOREIGN_ISSUERS``.
    :param own_issuer: ``iss`` of our own tokens, which are not accepted here.
    :raises ConfigurationError: if one of the issuers is this application.
    """

    def __init__(self, issuers: Iterable[tuple[ExternalIssuer, IssuerKeys]], own_issuer: str) -> None:
        self._issuers = tuple(issuers)
        if any(issuer.issuer == own_issuer for issuer, _ in self._issuers):
            raise ConfigurationError({"AUTH_FOREIGN_ISSUERS": "names this application's own JWT_ISSUER"})

    def verify(self, token: object) -> ExternalUser:
        """The user of a valid token.

        :raises InvalidToken: for anything else, with a reason that repeats nothing of it.
        :raises IssuerUnavailable: if the issuer's keys cannot be had.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise InvalidToken("malformed")
        header, claimed = _unverified(token)
        issuer, keys = self._chosen(claimed.get("iss"), header.get("alg"))
        return _user(issuer, _verified(token, issuer, _key(issuer, keys, header)))

    def _chosen(self, name: object, algorithm: object) -> tuple[ExternalIssuer, IssuerKeys]:
        known = [(issuer, keys) for issuer, keys in self._issuers if issuer.issuer == name]
        if not known:
            raise InvalidToken("wrong issuer")
        for issuer, keys in known:
            if algorithm in issuer.algorithms:
                return issuer, keys
        raise InvalidToken("wrong algorithm")


class ExternalIdentities:
    """The accounts of other issuers' users, mapped in the table ``isthmus_identities``.

    :param database: where the tables are.
    """

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts

    def account_of(self, user: ExternalUser) -> Account:
        """The user's account; at their first sign-in a new one, with the role ``user`` and no password.

        Later only issuer and subject count: the address may have changed on either side.

        :raises EmailNotVerified: if there is no account yet, and no verified address to make one of.
        :raises EmailTaken: if another account has the address; they are never joined, as that would hand over an
            account to whoever gets the issuer to believe in an address.
        :raises UnknownAccount: if there was an account that is gone.
        """
        try:
            return own_transaction(self._database, lambda: self._known(user) or self._created(user))
        except (EmailTaken, ConstraintViolated) as error:
            # Another request with the same user may have been faster.
            known = own_transaction(self._database, lambda: self._known(user))
            if known is not None:
                return known
            # Some databases tell of a taken address at the commit only, when nobody can translate it any more.
            raise EmailTaken from error

    def _known(self, user: ExternalUser) -> Account | None:
        row = self._database.run(Get(TABLE, identity_id(user.issuer, user.subject))).first
        if row is None:
            return None
        account = self._accounts.get(row["user_id"])
        if account is None:
            raise UnknownAccount
        return account

    def _created(self, user: ExternalUser) -> Account:
        if user.email is None:
            raise EmailNotVerified
        account = self._accounts.register_without_password(user.email, _acceptable_name(user.name))
        identity = {
            "id": identity_id(user.issuer, user.subject),
            "issuer": user.issuer,
            "subject": user.subject,
            "user_id": account.id,
        }
        self._database.run(Insert(TABLE, [identity]))
        return account


def external_tokens(issuers: Iterable[ExternalIssuer], own_issuer: str) -> ExternalTokens:
    """What verifies the tokens of ``issuers``, with keys that are fetched when they are needed."""
    return ExternalTokens([(issuer, IssuerKeys(issuer)) for issuer in issuers], own_issuer)


def identity_id(issuer: str, subject: str) -> str:
    """The id of an identity's row: no two pairs have the same text before it is hashed."""
    return hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()


def _unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, to find out which issuer's key to verify them with."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (InvalidTokenError, RecursionError) as error:
        raise InvalidToken("malformed") from error
    return parts["header"], parts["payload"]


def _key(issuer: ExternalIssuer, keys: IssuerKeys, header: Mapping[str, Any]) -> Any:
    if issuer.secret is not None:
        return issuer.secret.get_secret_value()
    return keys.key(header.get("kid"), header["alg"])


def _verified(token: str, issuer: ExternalIssuer, key: Any) -> Mapping[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=issuer.algorithms,
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=LEEWAY,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
    except PyJWTError as error:
        reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), "not acceptable")
        raise InvalidToken(reason) from error


def _user(issuer: ExternalIssuer, claims: Mapping[str, Any]) -> ExternalUser:
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidToken("the claim sub is not a text")
    metadata = claims.get("user_metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    verified = claims.get("email_verified", issuer.confirms_email) is True
    email = _email(claims.get("email")) if verified else None
    return ExternalUser(issuer.issuer, subject, email, claims.get("name") or metadata.get("name"))


def _email(claimed: object) -> str | None:
    try:
        return canonical_email(claimed)
    except InvalidRegistration:
        return None


def _acceptable_name(name: object) -> str | None:
    """The name if it fits; a strange one is no reason to refuse the sign-in."""
    try:
        return valid_name(name)
    except InvalidRegistration:
        return None

"""Sign-in with a token of an external issuer, such as Supabase Auth or a company's OpenID Connect provider.

Tokens are verified after RFC 8725: the settings determine the algorithm and the source of the keys; the header only
selects one of the issuer's keys. A token identifies a user at the issuer. It grants no rights here.
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
from jwt.exceptions import InvalidIssuedAtError
from jwt.exceptions import InvalidIssuerError
from jwt.exceptions import InvalidJTIError
from jwt.exceptions import InvalidSubjectError
from jwt.exceptions import InvalidTokenError
from jwt.exceptions import MissingRequiredClaimError
from jwt.exceptions import PyJWTError

from auth.claims import MAX_SUBJECT
from auth.claims import is_subject
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

_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
SUBJECT = f"claim sub must be printable text of 1 to {MAX_SUBJECT} characters"
_REASONS: dict[type[PyJWTError], str] = {
    ExpiredSignatureError: "expired",
    ImmatureSignatureError: "not valid yet",
    InvalidAudienceError: "wrong audience",
    InvalidIssuerError: "wrong issuer",
    MissingRequiredClaimError: "a required claim is missing",
    InvalidSubjectError: SUBJECT,
    InvalidIssuedAtError: "claim iat must be a number",
    InvalidJTIError: "claim jti must be text",
    DecodeError: "malformed, or wrong signature",
}


@dataclass(frozen=True, slots=True)
class ExternalUser:
    """The user of a verified token.

    :ivar subject: the user's id at the issuer.
    :ivar email: the address; None if the issuer has not verified it, or it does not have the form of an address.
    :ivar name: the claim, unchecked and of any type.
    """

    issuer: str
    subject: str
    email: str | None
    name: object


class ExternalTokens:
    """Verifies the tokens of the issuers that the settings name.

    :param issuers: the issuers of ``AUTH_FOREIGN_ISSUERS``, each with its keys.
    :param own_issuer: ``iss`` claim of our own tokens, which are not accepted here.
    :raises ConfigurationError: if one of the issuers is this application.
    """

    def __init__(self, issuers: Iterable[tuple[ExternalIssuer, IssuerKeys]], own_issuer: str) -> None:
        self._issuers = tuple(issuers)
        if any(issuer.issuer == own_issuer for issuer, _ in self._issuers):
            raise ConfigurationError({"AUTH_FOREIGN_ISSUERS": "contains this application's JWT_ISSUER; remove it"})

    def __contains__(self, issuer: object) -> bool:
        return any(known.issuer == issuer for known, _ in self._issuers)

    def verify(self, token: object) -> ExternalUser:
        """The user of a valid token.

        :raises InvalidToken: for anything else; the reason contains nothing of it.
        :raises IssuerUnavailable: if the issuer's keys cannot be fetched.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise InvalidToken("malformed")
        header, claimed = _unverified(token)
        issuer, key = self.key(claimed.get("iss"), header)
        return _user(issuer, _verified(token, issuer, key))

    def key(self, issuer: object, header: Mapping[str, Any]) -> tuple[ExternalIssuer, Any]:
        """The issuer of a token, and the key that its header selects, for PyJWT.

        :param issuer: the claim ``iss``.
        :raises InvalidToken: if the issuer, its algorithm or its key is unknown.
        :raises IssuerUnavailable: if the issuer's keys cannot be fetched.
        """
        known, keys = self._issuer_of(issuer, header.get("alg"))
        if known.secret is not None:
            return known, known.secret.get_secret_value()
        return known, keys.key(header.get("kid"), header["alg"])

    def _issuer_of(self, name: object, algorithm: object) -> tuple[ExternalIssuer, IssuerKeys]:
        known = [(issuer, keys) for issuer, keys in self._issuers if issuer.issuer == name]
        if not known:
            raise InvalidToken("wrong issuer")
        for issuer, keys in known:
            if algorithm in issuer.algorithms:
                return issuer, keys
        raise InvalidToken("wrong algorithm")


class ExternalIdentities:
    """Maps users of external issuers to accounts, in the table ``isthmus_identities``.

    :param database: the database with the tables.
    """

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts

    def find_or_create_account(self, user: ExternalUser) -> Account:
        """The user's account. The first sign-in creates it, with the role ``user`` and without a password.

        Later sign-ins use issuer and subject only, because the address may have changed on either side.

        :raises EmailNotVerified: if there is no account yet, and the token has no verified address.
        :raises EmailTaken: if another account has the address. Accounts are never linked by address: an issuer that
            verifies an address wrongly would hand over the account.
        :raises UnknownAccount: if the account was deleted.
        """
        try:
            return own_transaction(self._database, lambda: self._find(user) or self._create(user))
        except (EmailTaken, ConstraintViolated) as error:
            # A concurrent request of the same user may have created the account.
            known = own_transaction(self._database, lambda: self._find(user))
            if known is not None:
                return known
            # Some databases report the taken address at the commit, outside of the code that translates the error.
            raise EmailTaken from error

    def _find(self, user: ExternalUser) -> Account | None:
        row = self._database.run(Get(TABLE, identity_id(user.issuer, user.subject))).first
        if row is None:
            return None
        account = self._accounts.get(row["user_id"])
        if account is None:
            raise UnknownAccount
        return account

    def _create(self, user: ExternalUser) -> Account:
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
    """A verifier for the tokens of ``issuers``. It fetches keys at their first use."""
    return ExternalTokens([(issuer, IssuerKeys(issuer)) for issuer in issuers], own_issuer)


def identity_id(issuer: str, subject: str) -> str:
    """The id of an identity's row: a hash of JSON, so that different pairs never give the same text."""
    return hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()


def _unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims before verification, to select the issuer and its key."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (InvalidTokenError, RecursionError) as error:
        raise InvalidToken("malformed") from error
    return parts["header"], parts["payload"]


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
        reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), "invalid claim or header")
        raise InvalidToken(reason) from error


def _user(issuer: ExternalIssuer, claims: Mapping[str, Any]) -> ExternalUser:
    subject = claims["sub"]
    if not is_subject(subject):
        raise InvalidToken(SUBJECT)
    metadata = claims.get("user_metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    claimed = claims.get("email_verified", issuer.confirms_email)
    # Apple sends the text.
    verified = claimed is True or claimed == "true"
    email = _email(claims.get("email")) if verified else None
    return ExternalUser(issuer.issuer, subject, email, claims.get("name") or metadata.get("name"))


def _email(claimed: object) -> str | None:
    try:
        return canonical_email(claimed)
    except InvalidRegistration:
        return None


def _acceptable_name(name: object) -> str | None:
    """The name; None if it is invalid, because that must not prevent the sign-in."""
    try:
        return valid_name(name)
    except InvalidRegistration:
        return None

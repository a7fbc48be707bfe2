"""Accounts with e-mail address and password, in the table ``isthmus_users`` of the active database."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from argon2 import PasswordHasher

from auth.claims import DEFAULT_ROLE
from auth.errors import EmailTaken
from auth.errors import InvalidCredentials
from auth.errors import InvalidRegistration
from auth.errors import NoPassword
from auth.errors import UnknownAccount
from auth.permissions import permissions_of
from auth.sign_in.hashing import MOST_WAITING
from auth.sign_in.hashing import UNUSABLE_HASH
from auth.sign_in.hashing import PasswordHashing
from auth.sign_in.registration import canonical_email
from auth.sign_in.registration import valid_name
from auth.sign_in.registration import valid_password
from database.core.context import as_application
from database.core.errors import ConstraintViolated
from database.core.errors import Unavailable
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Where
from database.core.result import Result
from database.core.result import Row

TABLE = "isthmus_users"
_COLUMNS = ("id", "email", "name", "role")
_ROLE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Executor(Protocol):
    """Runs operations: an adapter or the connection manager."""

    def run(self, operation: Operation) -> Result:
        """Execute ``operation`` as the current identity."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, without its password.

    :ivar id: the subject of its tokens.
    :ivar role: the application's role.
    """

    id: str
    email: str
    name: str | None
    role: str

    @property
    def user_data(self) -> dict[str, Any]:
        """The ``user_data`` for :meth:`~auth.bridge.AuthBridge.generate_token`."""
        permissions = permissions_of(self.role)
        return {"email": self.email, "name": self.name, "role": self.role, "permissions": permissions}


class Accounts:
    """Registration and sign-in.

    :param executor: the database with the table. Called as the application, because nobody is signed in yet.
    :param hasher: argon2id with its parameters. Passwords hashed with other parameters are rehashed at sign-in.
    :param most_waiting: how many threads may wait to hash a password.
    """

    def __init__(
        self, executor: Executor, hasher: PasswordHasher | None = None, *, most_waiting: int = MOST_WAITING
    ) -> None:
        self._executor = executor
        self._passwords = PasswordHashing(hasher, most_waiting=most_waiting)

    def register(self, email: object, password: object, name: object = None) -> Account:
        """Create an account, always with the role ``user``.

        The values may come unchecked from a request's body.

        :raises InvalidRegistration: if a value is invalid; names the field.
        :raises EmailTaken: if an account has the address.
        :raises SignInBusy: if too many passwords are being hashed.
        """
        return self._add(canonical_email(email), valid_name(name), self._passwords.hash(valid_password(password)))

    def register_without_password(self, email: object, name: object = None) -> Account:
        """Create an account for a user of an external issuer. Nobody can sign in to it with a password.

        :raises InvalidRegistration: as :meth:`register`.
        :raises EmailTaken: as :meth:`register`.
        """
        return self._add(canonical_email(email), valid_name(name), UNUSABLE_HASH)

    def authenticate(self, email: object, password: object) -> Account:
        """The account with this e-mail address and password. It takes the same time if there is no such account.

        :raises InvalidCredentials: if either is wrong; does not say which.
        :raises SignInBusy: as :meth:`register`.
        :raises Unavailable: if only a fallback database answered, whose passwords may be out of date.
        """
        try:
            address, secret = canonical_email(email), valid_password(password)
        except InvalidRegistration as error:
            # No account can have these values, so the shorter time reveals nothing about an account.
            raise InvalidCredentials from error
        row = self._read_with_hash(Select(TABLE, (*_COLUMNS, "password_hash"), where=Where("email", "eq", address)))
        if not self._matches(row, secret) or row is None:
            raise InvalidCredentials
        if self._passwords.is_outdated(row["password_hash"]):
            self._replace_hash(row, self._passwords.hash(secret))
        return _account(row)

    def prepare_password_change(self, account_id: str, current: object, new: object) -> Callable[[], None]:
        """Check a password change and hash the new password, which is slow; the returned function stores it fast.

        :returns: a function that stores the new password; it raises ``InvalidCredentials`` if the password was changed
            in the meantime.
        :raises UnknownAccount: if the account was deleted.
        :raises NoPassword: if the account has no password.
        :raises InvalidCredentials: if ``current`` is wrong; it takes the same time for any value.
        :raises InvalidRegistration: if ``new`` is invalid; the field is ``new_password``.
        :raises SignInBusy: as :meth:`register`.
        :raises Unavailable: as :meth:`authenticate`.
        """
        row = self._read_with_hash(Get(TABLE, account_id))
        if row is None:
            raise UnknownAccount
        if row["password_hash"] == UNUSABLE_HASH:
            raise NoPassword
        accepted = _named(new, "new_password")
        if not self._matches(row, current if isinstance(current, str) else ""):
            raise InvalidCredentials
        new_hash = self._passwords.hash(accepted)

        def store() -> None:
            if not self._replace_hash(row, new_hash):
                raise InvalidCredentials

        return store

    def get(self, account_id: str) -> Account | None:
        """The account with this id, or None.

        :raises Unavailable: if only a fallback database answered, and it has no such account.
        """
        result = self._run(Get(TABLE, account_id, _COLUMNS))
        if result.first is None:
            _refuse_fallback(result)
            return None
        return _account(result.first)

    def grant(self, email: object, role: str) -> Account:
        """Set the account's role. Access tokens that are already issued keep the old role until they expire.

        :raises UnknownAccount: if no account has the address.
        :raises ValueError: if ``role`` is not a letter followed by at most 63 letters, digits, ``_``, ``.`` or ``-``.
        """
        if _ROLE.fullmatch(role) is None:
            raise ValueError("role must be a letter followed by at most 63 letters, digits, _, . or -")
        try:
            where = Where("email", "eq", canonical_email(email))
        except InvalidRegistration as error:
            raise UnknownAccount from error
        row = self._run(Update(TABLE, {"role": role}, where=where)).first
        if row is None:
            raise UnknownAccount
        return _account(row)

    def _add(self, email: str, name: str | None, password_hash: str) -> Account:
        row = {"email": email, "name": name, "password_hash": password_hash, "role": DEFAULT_ROLE}
        try:
            return _account(self._run(Insert(TABLE, [row])).rows[0])
        except ConstraintViolated as error:
            if error.constraint is not None and "email" not in error.constraint:
                raise
            raise EmailTaken from error

    def _read_with_hash(self, query: Operation) -> Row | None:
        result = self._run(query)
        _refuse_fallback(result)
        return result.first

    def _replace_hash(self, row: Row, password_hash: str) -> bool:
        # Replace only the hash that was verified: the password may have been changed in the meantime.
        unchanged = Where("id", "eq", row["id"]) & Where("password_hash", "eq", row["password_hash"])
        return bool(self._run(Update(TABLE, {"password_hash": password_hash}, where=unchanged, returning=False)).count)

    def _matches(self, row: Row | None, password: str) -> bool:
        """Whether it is the row's password. It takes the same time without a row or without a password in it."""
        return self._passwords.matches(None if row is None else row["password_hash"], password)

    def _run(self, operation: Operation) -> Result:
        with as_application():
            return self._executor.run(operation)


def _refuse_fallback(result: Result) -> None:
    if result.source is not None:
        raise Unavailable("the database with the accounts is not available; retry later", retry_after=1)


def _named(password: object, field: str) -> str:
    try:
        return valid_password(password)
    except InvalidRegistration as error:
        raise InvalidRegistration(field, error.message) from error


def _account(row: Row) -> Account:
    return Account(**{column: row[column] for column in _COLUMNS})

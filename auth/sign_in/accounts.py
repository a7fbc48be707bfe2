"""Accounts with e-mail and password, kept in the table ``isthmus_users`` of the active database."""

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
    """What runs operations: an adapter, or the connection manager."""

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
        """What :meth:`~auth.bridge.AuthBridge.generate_token` puts into a token."""
        permissions = permissions_of(self.role)
        return {"email": self.email, "name": self.name, "role": self.role, "permissions": permissions}


class Accounts:
    """Registration and sign-in.

    :param executor: where the table is; used as the service role, because nobody is signed in yet.
    :param hasher: argon2id with its parameters; passwords hashed with others are hashed anew at sign-in.
    :param most_waiting: how many threads may wait for one that hashes.
    """

    def __init__(
        self, executor: Executor, hasher: PasswordHasher | None = None, *, most_waiting: int = MOST_WAITING
    ) -> None:
        self._executor = executor
        self._passwords = PasswordHashing(hasher, most_waiting=most_waiting)

    def register(self, email: object, password: object, name: object = None) -> Account:
        """A new account, always with the role ``user``.

        The values may come straight from a request's body; nothing else of it belongs here.

        :raises InvalidRegistration: if a value is not acceptable; names the field.
        :raises EmailTaken: if an account has the address.
        :raises SignInBusy: if too many passwords are hashed at this moment.
        """
        return self._add(canonical_email(email), valid_name(name), self._passwords.hash(valid_password(password)))

    def register_without_password(self, email: object, name: object = None) -> Account:
        """A new account for someone who is vouched for elsewhere: nobody can sign in to it with a password.

        :raises InvalidRegistration: as :meth:`register`.
        :raises EmailTaken: as :meth:`register`.
        """
        return self._add(canonical_email(email), valid_name(name), UNUSABLE_HASH)

    def authenticate(self, email: object, password: object) -> Account:
        """The account that the e-mail and password belong to; equal work is done if there is none.

        :raises InvalidCredentials: without saying what is wrong.
        :raises SignInBusy: as :meth:`register`.
        :raises Unavailable: if only a stand-in could be asked, whose passwords may be old.
        """
        try:
            address, secret = canonical_email(email), valid_password(password)
        except InvalidRegistration as error:
            # No account can have these, so the time this takes tells nothing about one.
            raise InvalidCredentials from error
        row = self._secret_row(Select(TABLE, (*_COLUMNS, "password_hash"), where=Where("email", "eq", address)))
        if not self._matches(row, secret) or row is None:
            raise InvalidCredentials
        if self._passwords.is_outdated(row["password_hash"]):
            self._replace_hash(row, self._passwords.hash(secret))
        return _account(row)

    def new_password(self, account_id: str, current: object, new: object) -> Callable[[], None]:
        """Check a change of password, which takes long, and return what carries it out, which does not.

        :returns: stores the new password; raises ``InvalidCredentials`` if it was changed meanwhile.
        :raises UnknownAccount: if the account is gone.
        :raises NoPassword: if the account has none.
        :raises InvalidCredentials: if ``current`` is not its password; equal work is done whatever it is.
        :raises InvalidRegistration: if ``new`` is not acceptable; the field is ``new_password``.
        :raises SignInBusy: as :meth:`register`.
        :raises Unavailable: as :meth:`authenticate`.
        """
        row = self._secret_row(Get(TABLE, account_id))
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
        """The account with this id, or None. :raises Unavailable: if only a stand-in was asked, and has none."""
        result = self._run(Get(TABLE, account_id, _COLUMNS))
        if result.first is None:
            _refuse_stand_in(result)
            return None
        return _account(result.first)

    def grant(self, email: object, role: str) -> Account:
        """Give the account another role; tokens that are already out keep the old one until they expire.

        :raises UnknownAccount: if no account has the address.
        :raises ValueError: if ``role`` is not a letter followed by at most 63 letters, digits, ``_``, ``.`` or ``-``.
        """
        if _ROLE.fullmatch(role) is None:
            raise ValueError("a role is a letter followed by at most 63 letters, digits, _, . or -")
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

    def _secret_row(self, query: Operation) -> Row | None:
        result = self._run(query)
        _refuse_stand_in(result)
        return result.first

    def _replace_hash(self, row: Row, password_hash: str) -> bool:
        # Only over the hash that was verified: the password may have been changed meanwhile.
        unchanged = Where("id", "eq", row["id"]) & Where("password_hash", "eq", row["password_hash"])
        return bool(self._run(Update(TABLE, {"password_hash": password_hash}, where=unchanged, returning=False)).count)

    def _matches(self, row: Row | None, password: str) -> bool:
        """Whether it is the row's password; equal work is done if there is no row, or no password in it."""
        return self._passwords.matches(None if row is None else row["password_hash"], password)

    def _run(self, operation: Operation) -> Result:
        with as_application():
            return self._executor.run(operation)


def _refuse_stand_in(result: Result) -> None:
    if result.source is not None:
        raise Unavailable("the database that has the accounts is not available", retry_after=1)


def _named(password: object, field: str) -> str:
    try:
        return valid_password(password)
    except InvalidRegistration as error:
        raise InvalidRegistration(field, error.message) from error


def _account(row: Row) -> Account:
    return Account(**{column: row[column] for column in _COLUMNS})

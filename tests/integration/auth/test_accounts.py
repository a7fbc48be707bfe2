"""Accounts on a real backend: registration, sign-in, roles, and what none of them may give away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any
from typing import Literal

import pytest
from argon2 import PasswordHasher
from flask import Flask

from auth.errors import AuthError
from auth.errors import EmailTaken
from auth.errors import InvalidCredentials
from auth.errors import InvalidRegistration
from auth.errors import UnknownAccount
from auth.sign_in.accounts import TABLE
from auth.sign_in.accounts import Account
from auth.sign_in.accounts import Accounts
from cli.auth import auth_commands
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import current_context
from database.core.operations import Operation
from database.core.operations import Select
from database.core.result import Result
from database.extension import Isthmus
from tests.integration.http.support import CHEAP

PASSWORD = "correct horse battery staple"
DEARER = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)


class CountingHasher(PasswordHasher):
    """Hashes for real and counts the verifications."""

    verifications = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base's name
        self.verifications += 1
        return super().verify(hash, password)


class Witness:
    """Runs operations on an adapter and remembers as whom."""

    def __init__(self, adapter: MemoryAdapter) -> None:
        self.adapter = adapter
        self.identities: list[Identity | None] = []

    def run(self, operation: Operation) -> Result:
        self.identities.append(current_context.get().identity)
        return self.adapter.run(operation)


@pytest.fixture
def adapter() -> Iterator[MemoryAdapter]:
    adapter = MemoryAdapter()
    assert adapter.connect()
    yield adapter
    adapter.disconnect()


@pytest.fixture
def accounts(adapter: MemoryAdapter) -> Accounts:
    return Accounts(adapter, CHEAP, most_waiting=8)


def stored(adapter: MemoryAdapter) -> list[dict[str, Any]]:
    with acting_as(SERVICE):
        return adapter.run(Select(TABLE)).rows


def test_register_and_sign_in(accounts: Accounts) -> None:
    account = accounts.register("ada@example.com", PASSWORD, " Ada ")
    assert (account.email, account.name, account.role) == ("ada@example.com", "Ada", "user")
    assert account.user_data == {"email": "ada@example.com", "name": "Ada", "role": "user", "permissions": []}
    assert accounts.authenticate("ada@example.com", PASSWORD) == account
    assert accounts.get(account.id) == account
    assert accounts.get("nobody") is None


def test_only_a_hash_is_stored(accounts: Accounts, adapter: MemoryAdapter) -> None:
    accounts.register("ada@example.com", PASSWORD)
    [row] = stored(adapter)
    assert row["password_hash"].startswith("$argon2id$")
    assert PASSWORD not in repr(row)
    assert (row["role"], row["name"], row["version"]) == ("user", None, 1)


def test_one_mailbox_in_many_spellings(accounts: Accounts) -> None:
    account = accounts.register("  Ren\N{LATIN SMALL LETTER E WITH ACUTE}@Example.COM ", PASSWORD)
    assert account.email == "ren\N{LATIN SMALL LETTER E WITH ACUTE}@example.com"
    assert accounts.authenticate("RENE\N{COMBINING ACUTE ACCENT}@example.com", PASSWORD) == account
    with pytest.raises(EmailTaken) as caught:
        accounts.register("rene\N{COMBINING ACUTE ACCENT}@example.com", PASSWORD)
    assert (caught.value.status, "example" in caught.value.message) == (409, False)


def test_registrations_at_the_same_time_make_one_account(accounts: Accounts, adapter: MemoryAdapter) -> None:
    barrier = Barrier(6)

    def register(_number: int) -> str:
        barrier.wait(timeout=30)
        try:
            return accounts.register("ada@example.com", PASSWORD).id
        except EmailTaken:
            return "taken"

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(register, range(6)))
    assert answers.count("taken") == 5
    assert len(stored(adapter)) == 1


def test_a_role_cannot_be_registered(accounts: Accounts) -> None:
    body = {"email": "eve@example.com", "password": PASSWORD, "role": "admin"}
    with pytest.raises(TypeError):
        accounts.register(**body)
    assert accounts.register("eve@example.com", PASSWORD, name="admin").role == "user"


NO_ADDRESSES = (
    *("a", "@", "a@", "@b.co", "a@b", "a@b.", "a@.co", "a@b..co", "a@@b.co", "a@b@c.co", "a@[1.2.3.4]", "<a@b.co>"),
    *(".a@b.co", "a.@b.co", "a..b@c.co", "a@-b.co", "a@b-.co", "a@b_c.co"),
    *("a,b@c.co", 'a"b@c.co', "a\\b@c.co", "a(b)@c.co"),
    *("", " ", "a b@c.co", "a@b c.co", "a\n@b.co", "a@b.co\n.de", "a\0@b.co"),
    *("a\u200b@b.co", "a\ud800@b.co", "a\u202e@b.co"),
    *(f"{'a' * 65}@b.co", f"a@{'b' * 64}.co", f"a@{'b.' * 126}co"),
    *(None, 5, b"a@b.co", ["a@b.co"]),
)


@pytest.mark.parametrize("email", NO_ADDRESSES, ids=count())
def test_addresses_that_are_none(accounts: Accounts, adapter: MemoryAdapter, email: Any) -> None:
    with pytest.raises(InvalidRegistration) as caught:
        accounts.register(email, PASSWORD)
    assert (caught.value.status, caught.value.field) == (422, "email")
    with pytest.raises(InvalidCredentials):
        accounts.authenticate(email, PASSWORD)
    assert stored(adapter) == []


@pytest.mark.parametrize(
    "email", ["a@b.co", "first.last+tag@sub.example-site.org", "o'hara@example.com", "用户@例子.广告", "1@2.co"]
)
def test_addresses_that_are(accounts: Accounts, email: str) -> None:
    assert accounts.register(email, PASSWORD).email == email


@pytest.mark.parametrize("password", [None, 5, b"12345678", "", "1234567", "x" * 1025, "1234567\0", "1234567\ud800"])
def test_passwords_that_are_refused(accounts: Accounts, adapter: MemoryAdapter, password: Any) -> None:
    with pytest.raises(InvalidRegistration) as caught:
        accounts.register("ada@example.com", password)
    assert caught.value.field == "password"
    assert not (isinstance(password, str) and password and password in str(caught.value))
    with pytest.raises(InvalidCredentials):
        accounts.authenticate("ada@example.com", password)
    assert stored(adapter) == []


@pytest.mark.parametrize("password", ["12345678", "x" * 1024, "päßwörd " * 2, "🔑" * 8, "        "])
def test_passwords_that_are_taken_letter_for_letter(accounts: Accounts, password: str) -> None:
    account = accounts.register("ada@example.com", password)
    assert accounts.authenticate("ada@example.com", password) == account
    for other in (f"{password} ", f" {password}", f"{password[:-1]}!"):
        with pytest.raises(InvalidCredentials):
            accounts.authenticate("ada@example.com", other)


@pytest.mark.parametrize("name", [5, ["Ada"], "x" * 256, "Ada\nAdmin", "Ada\0", "Ada\x1b[31m", "Ada\ud800"])
def test_names_that_are_refused(accounts: Accounts, name: Any) -> None:
    with pytest.raises(InvalidRegistration) as caught:
        accounts.register("ada@example.com", PASSWORD, name)
    assert caught.value.field == "name"


def test_wrong_password_and_unknown_address_are_told_alike_after_equal_work(adapter: MemoryAdapter) -> None:
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(adapter, hasher)
    accounts.register("ada@example.com", PASSWORD)
    refusals = []
    for email in ("ada@example.com", "nobody@example.com"):
        hasher.verifications = 0
        with pytest.raises(InvalidCredentials) as caught:
            accounts.authenticate(email, "wrong password")
        refusals.append((caught.value.status, caught.value.message, hasher.verifications))
    assert refusals == [(401, "Wrong e-mail or password", 1)] * 2


def test_nobody_can_sign_in_with_the_hash_of_nobody(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts._passwords, "_nobodys_hash", CHEAP.hash(PASSWORD))
    with pytest.raises(InvalidCredentials):
        accounts.authenticate("nobody@example.com", PASSWORD)


def test_a_hash_with_old_parameters_is_renewed_at_sign_in(accounts: Accounts, adapter: MemoryAdapter) -> None:
    account = accounts.register("ada@example.com", PASSWORD)
    dearer = Accounts(adapter, DEARER)
    with pytest.raises(InvalidCredentials):
        dearer.authenticate("ada@example.com", "wrong password")
    assert ",t=1," in stored(adapter)[0]["password_hash"]
    assert dearer.authenticate("ada@example.com", PASSWORD) == account
    renewed = stored(adapter)[0]["password_hash"]
    assert ",t=2," in renewed
    assert dearer.authenticate("ada@example.com", PASSWORD) == account
    assert stored(adapter)[0]["password_hash"] == renewed


def test_the_accounts_are_read_as_the_service_and_the_caller_comes_back(adapter: MemoryAdapter) -> None:
    witness = Witness(adapter)
    accounts = Accounts(witness, CHEAP)
    with acting_as(ANONYMOUS):
        account = accounts.register("ada@example.com", PASSWORD)
        accounts.authenticate("ada@example.com", PASSWORD)
        accounts.get(account.id)
        accounts.grant("ada@example.com", "admin")
        assert current_context.get().identity is ANONYMOUS
    assert witness.identities == [SERVICE] * 4


def test_no_password_in_any_log(accounts: Accounts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        accounts.register("ada@example.com", PASSWORD)
        accounts.authenticate("ada@example.com", PASSWORD)
        for attempt in (f"{PASSWORD}!", PASSWORD[:5]):
            with pytest.raises(AuthError) as caught:
                accounts.authenticate("ada@example.com", attempt)
            assert attempt not in str(caught.value)
    assert PASSWORD not in caplog.text


def test_a_role_is_granted(accounts: Accounts) -> None:
    account = accounts.register("ada@example.com", PASSWORD)
    accounts.register("eve@example.com", PASSWORD)
    granted = accounts.grant(" ADA@example.com", "admin")
    assert granted == Account(account.id, "ada@example.com", None, "admin")
    assert accounts.authenticate("ada@example.com", PASSWORD).role == "admin"
    assert accounts.authenticate("eve@example.com", PASSWORD).role == "user"


@pytest.mark.parametrize("email", ["nobody@example.com", "no address", ""])
def test_nobody_gets_no_role(accounts: Accounts, email: str) -> None:
    with pytest.raises(UnknownAccount) as caught:
        accounts.grant(email, "admin")
    assert caught.value.status == 404


@pytest.mark.parametrize("role", ["", " admin", "a b", "1st", "x" * 65, "admin\n", "ro\0le"])
def test_roles_that_are_none(accounts: Accounts, role: str) -> None:
    accounts.register("ada@example.com", PASSWORD)
    with pytest.raises(ValueError, match="role must be"):
        accounts.grant("ada@example.com", role)


def run_command(adapter: MemoryAdapter, *arguments: str) -> tuple[int, str]:
    app = Flask(__name__)
    Isthmus.of(app)[ConnectionManager] = ConnectionManager(adapters={"it": adapter})
    app.cli.add_command(auth_commands)
    result = app.test_cli_runner().invoke(args=["auth", *arguments])
    return result.exit_code, result.output


def test_grant_from_the_command_line(accounts: Accounts, adapter: MemoryAdapter) -> None:
    accounts.register("ada@example.com", PASSWORD)
    assert run_command(adapter, "grant", "Ada@Example.com", "admin") == (
        0,
        "ada@example.com now has the role admin.\n",
    )
    assert accounts.authenticate("ada@example.com", PASSWORD).role == "admin"


def test_grant_to_nobody_from_the_command_line(adapter: MemoryAdapter) -> None:
    code, output = run_command(adapter, "grant", "nobody@example.com", "admin")
    assert code == 1
    assert "No account has the e-mail address nobody@example.com; register it first." in output


def test_grant_of_no_role_from_the_command_line(accounts: Accounts, adapter: MemoryAdapter) -> None:
    accounts.register("ada@example.com", PASSWORD)
    code, output = run_command(adapter, "grant", "ada@example.com", "no role")
    assert code == 2
    assert "role must be" in output
    assert accounts.authenticate("ada@example.com", PASSWORD).role == "user"

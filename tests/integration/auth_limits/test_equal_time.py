"""How long a refusal takes does not tell whether there is such an account."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import pytest
from argon2 import PasswordHasher

from auth.errors import InvalidCredentials
from auth.sign_in.accounts import Accounts
from database.backends.memory import MemoryAdapter

PASSWORD = "correct horse battery staple"
ROUNDS = 40
# A few milliseconds: little, and far more than everything else that a sign-in does.
HASHER = PasswordHasher(time_cost=2, memory_cost=2048, parallelism=1)


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    adapter = MemoryAdapter()
    assert adapter.connect()
    accounts = Accounts(adapter, HASHER)
    accounts.register("ada@example.org", PASSWORD)
    accounts.register_without_password("bob@example.org")
    yield accounts
    adapter.disconnect()


def refusal(accounts: Accounts, email: str) -> float:
    """The seconds that a refused sign-in takes."""
    start = perf_counter()
    with pytest.raises(InvalidCredentials):
        accounts.authenticate(email, "a wrong password")
    return perf_counter() - start


@pytest.mark.parametrize("other", ["nobody@example.org", "bob@example.org"], ids=["no account", "no password"])
def test_a_refusal_takes_as_long_for_any_account(accounts: Accounts, other: str) -> None:
    known, unknown = [], []
    # In turns, so that whatever else the machine does happens to both.
    for _ in range(ROUNDS):
        known.append(refusal(accounts, "ada@example.org"))
        unknown.append(refusal(accounts, other))
    # Without hashing it would take a fiftieth. The shortest of many are those that a busy machine has not disturbed.
    assert 1 / 3 < min(unknown) / min(known) < 3

"""The accounts of other issuers' users, where violations are told at once and where only the commit tells of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from auth.errors import EmailTaken
from auth.errors import UnknownAccount
from auth.sign_in.accounts import Accounts
from auth.sign_in.external_issuers import TABLE
from auth.sign_in.external_issuers import ExternalIdentities
from auth.sign_in.external_issuers import ExternalUser
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.operations import Delete
from database.core.operations import Select
from database.core.query.filters import Where
from tests.integration.http.support import CHEAP
from tests.servers.convex_deployment import ConvexDeployment

ADA = ExternalUser("https://login.example.org", "u-1", "ada@example.org", "Ada")


@pytest.fixture(params=["memory", "convex"])
def adapter(request: pytest.FixtureRequest) -> Iterator[DatabaseAdapter]:
    adapter: DatabaseAdapter = MemoryAdapter()
    if request.param == "convex":
        deployment: ConvexDeployment = request.getfixturevalue("convex_deployment")
        deployment.reset()
        adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
    assert adapter.connect()
    yield adapter
    adapter.disconnect()


@pytest.fixture
def accounts(adapter: DatabaseAdapter) -> Accounts:
    return Accounts(adapter, CHEAP)


@pytest.fixture
def foreign(adapter: DatabaseAdapter, accounts: Accounts) -> ExternalIdentities:
    return ExternalIdentities(adapter, accounts)


def count(adapter: DatabaseAdapter, table: str) -> int:
    with acting_as(SERVICE):
        return len(adapter.run(Select(table)).rows)


def test_a_user_has_one_account(adapter: DatabaseAdapter, foreign: ExternalIdentities) -> None:
    account = foreign.find_or_create_account(ADA)
    assert (account.email, account.name, account.role) == ("ada@example.org", "Ada", "user")
    assert foreign.find_or_create_account(ADA) == account
    assert count(adapter, TABLE) == count(adapter, "isthmus_users") == 1


def test_a_taken_address_is_refused_and_leaves_nothing(
    adapter: DatabaseAdapter, accounts: Accounts, foreign: ExternalIdentities
) -> None:
    accounts.register("ada@example.org", "correct horse battery staple")
    with pytest.raises(EmailTaken):
        foreign.find_or_create_account(ADA)
    assert (count(adapter, TABLE), count(adapter, "isthmus_users")) == (0, 1)


def test_first_times_at_once_make_one_account(adapter: DatabaseAdapter, foreign: ExternalIdentities) -> None:
    together = Barrier(4)

    def sign_in(_: int) -> str:
        together.wait(30)
        return foreign.find_or_create_account(ADA).id

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(sign_in, range(4)))) == 1
    assert count(adapter, TABLE) == count(adapter, "isthmus_users") == 1


def test_an_account_that_is_gone_is_not_made_again(adapter: DatabaseAdapter, foreign: ExternalIdentities) -> None:
    account = foreign.find_or_create_account(ADA)
    with acting_as(SERVICE):
        adapter.run(Delete("isthmus_users", where=Where("id", "eq", account.id)))
    with pytest.raises(UnknownAccount):
        foreign.find_or_create_account(ADA)
    assert count(adapter, "isthmus_users") == 0


@pytest.mark.parametrize("name", [5, ["Ada"], "two\nlines", "x" * 256, "a\0b", None, ""], ids=itertools.count())
def test_a_strange_name_is_left_out(name: object) -> None:
    adapter = MemoryAdapter()
    user = ExternalUser(ADA.issuer, "u-2", "bob@example.org", name)
    assert ExternalIdentities(adapter, Accounts(adapter, CHEAP)).find_or_create_account(user).name is None

"""Limits over HTTP: refused before any password is looked at, for everybody alike, by the client's own address."""

from __future__ import annotations

import logging
from typing import Any
from typing import Literal

import pytest
from argon2 import PasswordHasher

from auth.sign_in.accounts import Accounts
from database.extension import Isthmus
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer


class CountingHasher(PasswordHasher):
    """Hashes for real, with little work, and counts it."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.work = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.work += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base's name
        self.work += 1
        return super().verify(hash, password)


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


def login(site: Site, email: str = "ada@example.org", password: object = "wrong password", **more: Any) -> Any:
    return site.post("/auth/login", {"email": email, "password": password}, **more)


def register(site: Site, email: str, **more: Any) -> Any:
    return site.post("/auth/register", {"email": email, "password": PASSWORD}, **more)


def came_from(*addresses: str) -> dict[str, str]:
    return {"X-Forwarded-For": ", ".join(addresses)}


def test_no_password_is_looked_at_beyond_the_limit(limited_site: Any, hasher: CountingHasher) -> None:
    site: Site = limited_site(hasher, AUTH_LOGIN_LIMIT_PER_ACCOUNT="3/day")
    register(site, "ada@example.org")
    for email in ("ada@example.org", "nobody@example.org"):
        assert [login(site, email).status_code for _ in range(3)] == [401] * 3
        done = hasher.work
        right = login(site, email, PASSWORD)
        assert_problem(right, 429, "too-many-attempts")
        assert 1 <= int(right.headers["Retry-After"]) <= 86_400
        assert hasher.work == done


def test_an_unknown_account_is_limited_in_the_same_words(limited_site: Any, hasher: CountingHasher) -> None:
    site: Site = limited_site(hasher, AUTH_LOGIN_LIMIT_PER_ACCOUNT="1/day")
    register(site, "ada@example.org")
    answers = []
    for email in ("ada@example.org", "nobody@example.org"):
        login(site, email)
        problem = assert_problem(login(site, email), 429)
        answers.append({**problem, "instance": ""})
    assert answers[0] == answers[1]


def test_a_sign_in_forgets_the_failures_before_it(limited_site: Any, hasher: CountingHasher) -> None:
    site: Site = limited_site(hasher, AUTH_LOGIN_LIMIT_PER_ACCOUNT="3/day")
    register(site, "ada@example.org")
    passwords = ["wrong password"] * 2 + [PASSWORD] + ["wrong password"] * 3
    statuses = [login(site, password=password).status_code for password in passwords]
    assert statuses == [401, 401, 200, 401, 401, 401]
    assert login(site).status_code == 429


def test_who_is_signed_in_guesses_the_password_no_more_often(limited_site: Any, hasher: CountingHasher) -> None:
    site: Site = limited_site(hasher, AUTH_LOGIN_LIMIT_PER_ACCOUNT="2/day")
    headers = bearer(register(site, "ada@example.org").json["access_token"])
    guess = {"current_password": "wrong password", "new_password": "another password"}
    statuses = [site.post("/auth/password", guess, headers).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    assert login(site, password=PASSWORD).status_code == 429


def test_registrations_are_limited_by_address(limited_site: Any, hasher: CountingHasher) -> None:
    site: Site = limited_site(hasher, AUTH_REGISTER_LIMIT_PER_ADDRESS="2/day")
    statuses = [register(site, f"user{number}@example.org").status_code for number in range(2)]
    refused = register(site, "user3@example.org")
    elsewhere = register(site, "user4@example.org", environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert statuses == [201, 201]
    assert_problem(refused, 429, "too-many-attempts")
    assert elsewhere.status_code == 201


def test_a_client_cannot_say_where_it_comes_from(limited_site: Any, hasher: CountingHasher) -> None:
    site: Site = limited_site(hasher, AUTH_LOGIN_LIMIT_PER_ADDRESS="2/day")
    statuses = [
        login(site, f"{number}@example.org", headers=came_from(f"192.0.2.{number}")).status_code for number in range(3)
    ]
    assert statuses == [401, 401, 429]


@pytest.mark.parametrize("proxies", [1, 2])
def test_trusted_proxies_say_where_a_client_comes_from(limited_site: Any, hasher: CountingHasher, proxies: int) -> None:
    site: Site = limited_site(hasher, AUTH_LOGIN_LIMIT_PER_ADDRESS="2/day", TRUSTED_PROXIES=proxies)
    inner = ["198.51.100.1"] * (proxies - 1)

    def attempt(number: int, client: str) -> int:
        # What the client itself wrote stands on the left, and is another lie each time.
        headers = came_from(f"203.0.113.{number}", client, *inner)
        status: int = login(site, f"{number}@example.org", headers=headers).status_code
        return status

    assert [attempt(number, "192.0.2.1") for number in range(3)] == [401, 401, 429]
    assert attempt(4, "192.0.2.2") == 401


def test_the_start_says_that_each_process_counts_alone(
    limited_site: Any, hasher: CountingHasher, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        limited_site(hasher, WORKERS=2)
    (record,) = [record for record in caplog.records if record.name == "auth.sign_in.limits"]
    assert record.levelno == logging.WARNING
    assert "each process counts its limits" in record.message


def test_the_accounts_of_the_fixture_hash(limited_site: Any, hasher: CountingHasher) -> None:
    site: Site = limited_site(hasher)
    before = hasher.work
    register(site, "ada@example.org")
    assert isinstance(Isthmus.of(site.app)[Accounts], Accounts)
    assert hasher.work == before + 1

"""Registration and sign-in over HTTP: what is refused, and that slow hashing holds no transaction."""

from __future__ import annotations

import threading
from typing import Any
from typing import Literal

import pytest
from argon2 import PasswordHasher

from auth.sign_in.accounts import Accounts
from database.extension import Isthmus
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

ACCOUNT = {"email": "ada@example.org", "password": PASSWORD}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nowhere"}, "email"),
        ({"email": None}, "email"),
        ({"email": ["a@example.org"]}, "email"),
        ({"password": "short"}, "password"),
        ({"password": 12345678}, "password"),
        ({"name": "two\nlines"}, "name"),
        ({"role": "admin"}, "role"),
        ({"id": "1"}, "id"),
    ],
)
def test_a_registration_names_the_field_it_refuses(sqlite_site: Site, change: dict[str, Any], field: str) -> None:
    problem = assert_problem(sqlite_site.post("/auth/register", {**ACCOUNT, **change}), 422, "invalid-registration")
    assert problem["errors"][0]["pointer"] == f"#/{field}"
    assert sqlite_site.dump()["isthmus_users"] == []


def test_an_address_is_registered_once(site: Site) -> None:
    assert site.post("/auth/register", ACCOUNT).status_code == 201
    again = site.post("/auth/register", {**ACCOUNT, "email": "ADA@example.org"})
    assert_problem(again, 409, "email-taken")
    assert len(site.dump()["isthmus_users"]) == 1


def test_a_sign_in_does_not_tell_what_is_wrong(sqlite_site: Site) -> None:
    sqlite_site.post("/auth/register", ACCOUNT)
    wrong: list[dict[str, Any]] = [
        {"password": "wrong password"},
        {"email": "bob@example.org"},
        {"email": 7},
        {"password": None},
    ]
    answers = [sqlite_site.post("/auth/login", {**ACCOUNT, **change}) for change in wrong]
    details = {assert_problem(answer, 401, "invalid-credentials")["detail"] for answer in answers}
    assert len(details) == 1


def test_tokens_and_accounts_are_not_cached(sqlite_site: Site) -> None:
    answer = sqlite_site.post("/auth/register", ACCOUNT)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "password" not in answer.text
    assert sqlite_site.get("/auth/me", sqlite_site.register()).headers["Cache-Control"] == "no-store"


def test_no_transaction_is_open_while_a_password_is_verified(sqlite_site: Site) -> None:
    sqlite_site.post("/auth/register", ACCOUNT)
    verifying, may_go_on = threading.Event(), threading.Event()

    class SlowHasher(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base's name
            verifying.set()
            assert may_go_on.wait(30)
            return super().verify(hash, password)

    Isthmus.of(sqlite_site.app)[Accounts] = Accounts(sqlite_site.manager, SlowHasher())
    answers: list[Any] = []
    sign_in = threading.Thread(target=lambda: answers.append(sqlite_site.post("/auth/login", ACCOUNT)))
    sign_in.start()
    assert verifying.wait(30)
    open_transactions = sqlite_site.manager.adapter.get_connection_info()["active_transactions"]
    may_go_on.set()
    sign_in.join(30)
    assert open_transactions == 0
    assert answers[0].status_code == 200

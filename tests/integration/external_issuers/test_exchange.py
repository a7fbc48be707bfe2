"""Sign-in with another issuer's token over HTTP: whose account it is, and what the token cannot bring along."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from auth.bridge import AuthBridge
from database.extension import Isthmus
from tests.integration.external_issuers.conftest import MakeSite
from tests.integration.external_issuers.conftest import exchange
from tests.integration.external_issuers.issuer import Issuer
from tests.integration.external_issuers.issuer import new_key
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import PROBLEM
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import supabase_settings
from tests.servers.supabase_api import add_roles


def stored(site: Site, email: str) -> tuple[int, int]:
    """How many accounts have an address, and how many identities belong to them."""
    rows = site.dump()
    ids = {row["id"] for row in rows["isthmus_users"] if row["email"] == email}
    return len(ids), len([row for row in rows["isthmus_identities"] if row["user_id"] in ids])


def test_the_first_time_makes_an_account_and_later_times_find_it(site: Site, known_issuer: Issuer) -> None:
    first = exchange(site, known_issuer.token("ada", name="Ada"))
    again = exchange(site, known_issuer.token("ada", name="Else", email="other@example.org"))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json["user"] == again.json["user"]
    user = first.json["user"]
    assert (user["email"], user["name"], user["role"]) == ("ada@example.org", "Ada", "user")
    assert first.headers["Cache-Control"] == "no-store"
    assert stored(site, "ada@example.org") == (1, 1)
    assert stored(site, "other@example.org") == (0, 0)


def test_it_is_answered_as_a_sign_in_with_a_password_is(site: Site, known_issuer: Issuer) -> None:
    site.register("bob")
    login = site.post("/auth/login", {"email": "bob@example.org", "password": PASSWORD})
    answer = exchange(site, known_issuer.token("carl"))
    assert answer.json.keys() == login.json.keys()
    headers = bearer(answer.json["access_token"])
    assert site.get("/auth/me", headers).json["id"] == answer.json["user"]["id"]
    assert site.post("/api/molecules", {"name": "Water"}, headers).status_code == 201


def test_users_of_one_name_at_two_issuers_are_two(issuer: Issuer, site_for: MakeSite) -> None:
    with Issuer() as second:
        site = site_for(issuer.entry(), second.entry(name="second"))
        ids = {
            exchange(site, issuer.token("u-1", email="one@example.org")).json["user"]["id"],
            exchange(site, second.token("u-1", email="two@example.org")).json["user"]["id"],
        }
    assert len(ids) == 2


def test_an_address_that_has_an_account_is_refused_and_not_joined(site: Site, known_issuer: Issuer) -> None:
    site.register("dora")
    assert_problem(exchange(site, known_issuer.token("u-1", email="DORA@example.org")), 409, "email-taken")
    assert stored(site, "dora@example.org") == (1, 0)
    assert site.post("/auth/login", {"email": "dora@example.org", "password": PASSWORD}).status_code == 200


@pytest.mark.parametrize(
    "claims", [{"email": None}, {"email_verified": None}, {"email_verified": "false"}, {"email": "nowhere"}]
)
def test_without_a_verified_address_there_is_no_account(
    site: Site, known_issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert_problem(exchange(site, known_issuer.token("erik", **claims)), 403, "email-not-verified")
    assert stored(site, "erik@example.org") == (0, 0)


def test_the_address_counts_the_first_time_only(site: Site, known_issuer: Issuer) -> None:
    first = exchange(site, known_issuer.token("fay"))
    again = exchange(site, known_issuer.token("fay", email=None, email_verified=False))
    assert again.json["user"] == first.json["user"]


def test_roles_of_another_issuer_mean_nothing_here(site: Site, known_issuer: Issuer) -> None:
    claims: dict[str, Any] = {
        "role": "service_role",
        "roles": ["admin"],
        "permissions": ["*"],
        "app_metadata": {"role": "admin", "permissions": ["*"]},
        "user_metadata": {"role": "admin"},
        "user_id": "1",
        "id": "1",
    }
    answer = exchange(site, known_issuer.token("gil", **claims))
    assert answer.json["user"]["role"] == "user"
    assert answer.json["user"]["id"] != "1"
    granted = Isthmus.of(site.app)[AuthBridge].verify(answer.json["access_token"])
    assert granted["role"] == "authenticated"
    assert granted["app_metadata"].get("permissions", []) == []
    made = site.post("/api/molecules", {"name": "Water"}, bearer(answer.json["access_token"]))
    assert_problem(site.call("DELETE", made.headers["Location"], headers=bearer(answer.json["access_token"])), 403)


def test_its_account_has_no_password(site: Site, known_issuer: Issuer) -> None:
    exchange(site, known_issuer.token("hal"))
    for password in ("!", "", PASSWORD, "!" * 8):
        answer = site.post("/auth/login", {"email": "hal@example.org", "password": password})
        assert_problem(answer, 401, "invalid-credentials")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_many_first_times_at_once_make_one_account(
    request: pytest.FixtureRequest, issuer: Issuer, site_for: MakeSite, database: str
) -> None:
    settings: dict[str, object] = {}
    if database == "postgres":
        server = request.getfixturevalue("postgres_database")
        add_roles(server)
        settings = supabase_settings(server)
    site, token, together = site_for(issuer.entry(), **settings), issuer.token("ida"), Barrier(4)

    def sign_in(_: int) -> Any:
        together.wait(30)
        return exchange(site, token)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(sign_in, range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json["user"]["id"] for answer in answers}) == 1
    assert stored(site, "ida@example.org") == (1, 1)


def test_what_is_wrong_is_said_with_the_scheme_and_without_the_token(site: Site, known_issuer: Issuer) -> None:
    token = known_issuer.token("hush", key=new_key())
    answer = exchange(site, token)
    assert_problem(answer, 401, "invalid-token")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert "hush" not in answer.text
    assert token.split(".")[1] not in answer.text


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": 5}, {"token": ""}, {"token": ["a"]}])
def test_no_token_is_no_sign_in(site: Site, body: dict[str, Any]) -> None:
    assert_problem(site.post("/auth/exchange", body), 401, "invalid-token")


def test_other_fields_are_refused(site: Site, known_issuer: Issuer) -> None:
    answer = site.post("/auth/exchange", {"token": known_issuer.token(), "role": "admin"})
    assert_problem(answer, 422, "invalid-registration")
    assert stored(site, "u-1@example.org") == (0, 0)


def test_bad_tokens_count_as_failed_sign_ins(issuer: Issuer, site_for: MakeSite) -> None:
    site = site_for(issuer.entry(), AUTH_LOGIN_LIMIT_PER_ADDRESS="3/day")
    for _ in range(3):
        assert_problem(exchange(site, issuer.token(key=new_key())), 401)
    answer = exchange(site, issuer.token())
    assert_problem(answer, 429, "too-many-attempts")
    assert int(answer.headers["Retry-After"]) >= 1


def test_without_issuers_there_is_no_such_route(site_for: MakeSite, issuer: Issuer) -> None:
    answer = exchange(site_for(), issuer.token())
    assert (answer.status_code, answer.content_type) == (404, PROBLEM)

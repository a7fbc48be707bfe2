"""Cookies and CSRF tokens, over real HTTP with a client that keeps cookies as browsers do, and past one that does."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import Morsel
from http.cookies import SimpleCookie
from itertools import count
from typing import Any

import httpx
import pytest

from auth.sessions.cookies import csrf_token
from config.settings import ConfigurationError
from config.settings import load_settings
from config.sign_in import OFF
from tests.integration.http.support import CHEAP
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site
from tests.simulation.served import ServedApp

CSRF = "isthmus_csrf"
NAMES = ("__Host-isthmus_access", "__Secure-isthmus_refresh", "__Host-isthmus_csrf")

numbers = count()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    folder = tmp_path_factory.mktemp("served")
    settings = {"AUTH_COOKIE_SECURE": "false", "DB_ADAPTER_ORDER": "memory"}
    with ServedApp(folder, **settings) as app:
        yield app


@pytest.fixture
def browser(served: ServedApp) -> Iterator[httpx.Client]:
    """Keeps the cookies of somebody who is signed in."""
    with httpx.Client(base_url=served.url, timeout=30, trust_env=False) as client:
        body = {"email": f"user{next(numbers)}@example.org", "password": PASSWORD, "cookies": True}
        answer = client.post("/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["csrf_token"] == client.cookies[CSRF]
        yield client


def change(client: httpx.Client, csrf: str | None, **headers: str) -> httpx.Response:
    proof = {} if csrf is None else {"X-CSRF-Token": csrf}
    return client.post("/api/molecules", json={"name": "water"}, headers={**proof, **headers})


def refresh(client: httpx.Client, csrf: str | None) -> httpx.Response:
    return client.post("/auth/refresh", json={}, headers={} if csrf is None else {"X-CSRF-Token": csrf})


def is_csrf(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and answer.json()["type"] == "urn:isthmus:problem:csrf"


def test_a_page_reads_changes_refreshes_and_signs_out(browser: httpx.Client) -> None:
    assert browser.get("/auth/me").status_code == 200
    assert change(browser, browser.cookies[CSRF]).status_code == 201
    before = dict(browser.cookies)
    refreshed = refresh(browser, browser.cookies[CSRF])
    assert refreshed.status_code == 200
    assert set(refreshed.json()) == {"token_type", "expires_in", "user", "csrf_token"}
    assert all(browser.cookies[name] != before[name] for name in before)
    assert change(browser, refreshed.json()["csrf_token"]).status_code == 201
    out = browser.post("/auth/logout", json={}, headers={"X-CSRF-Token": browser.cookies[CSRF]})
    assert out.status_code == 204
    assert len(browser.cookies) == 0
    assert browser.get("/auth/me").status_code == 401


def test_a_change_without_the_pages_proof_is_refused(browser: httpx.Client) -> None:
    token = browser.cookies[CSRF]
    access, refreshing = token.split(".")
    for wrong in (None, "", "x", access, f"{refreshing}.{access}", f"{token}x", token.swapcase()):
        assert is_csrf(change(browser, wrong))
        assert is_csrf(refresh(browser, wrong))
        assert is_csrf(browser.delete("/auth/sessions/x", headers={"X-CSRF-Token": wrong or ""}))
    assert browser.get("/auth/me").status_code == 200
    assert change(browser, token).status_code == 201


def test_the_proof_of_one_session_is_none_in_another(browser: httpx.Client, served: ServedApp) -> None:
    with httpx.Client(base_url=served.url, timeout=30, trust_env=False) as thief:
        body = {"email": f"thief{next(numbers)}@example.org", "password": PASSWORD, "cookies": True}
        thiefs = thief.post("/auth/register", json=body).json()["csrf_token"]
    # A cookie can be planted from a neighbouring host where its name does not forbid it.
    browser.cookies.delete(CSRF)
    browser.cookies.set(CSRF, thiefs, domain="127.0.0.1")
    assert is_csrf(change(browser, thiefs))
    assert is_csrf(refresh(browser, thiefs))


def test_beside_an_authorization_no_cookie_counts(browser: httpx.Client) -> None:
    assert change(browser, browser.cookies[CSRF], Authorization="Bearer bad").status_code == 401
    other = httpx.post(
        f"{browser.base_url}/auth/register",
        json={"email": f"user{next(numbers)}@example.org", "password": PASSWORD},
        timeout=30,
        trust_env=False,
    ).json()
    authorization = {"Authorization": f"Bearer {other['access_token']}"}
    assert browser.get("/auth/me", headers=authorization).json() == other["user"]
    assert change(browser, None, **authorization).status_code == 201
    assert browser.post("/auth/refresh", json={}, headers=authorization).status_code == 401
    assert browser.get("/auth/me").json() != other["user"]


def test_a_sign_in_always_begins_a_session_and_ends_that_of_the_cookies(browser: httpx.Client) -> None:
    before, email = dict(browser.cookies), browser.get("/auth/me").json()["email"]
    body = {"email": email, "password": PASSWORD, "cookies": True}
    assert browser.post("/auth/login", json={**body, "password": "wrong password"}).status_code == 401
    assert browser.get("/auth/me").status_code == 200
    answer = browser.post("/auth/login", json=body)
    assert answer.status_code == 200
    assert all(browser.cookies[name] != before[name] for name in before)
    assert browser.get("/auth/me").status_code == 200
    old = {"Cookie": "; ".join(f"{name}={value}" for name, value in before.items())}
    with httpx.Client(base_url=browser.base_url, timeout=30, trust_env=False) as planted:
        assert planted.get("/auth/me", headers=old).status_code == 401
        refused = planted.post("/auth/refresh", json={}, headers={**old, "X-CSRF-Token": before[CSRF]})
        assert refused.json()["type"] == "urn:isthmus:problem:session-ended"
        assert len(refused.headers.get_list("set-cookie")) == 3
        assert planted.post("/auth/login", json=body, headers=old).status_code == 200


def test_a_bad_cookie_is_refused_where_it_counts_and_keeps_nobody_from_signing_in(browser: httpx.Client) -> None:
    email = browser.get("/auth/me").json()["email"]
    browser.cookies.delete("isthmus_access")
    browser.cookies.set("isthmus_access", "bad", domain="127.0.0.1")
    assert browser.get("/api/molecules").status_code == 401
    assert browser.get("/status").status_code == 200
    assert browser.post("/auth/login", json={"email": email, "password": PASSWORD}).status_code == 200


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = make_site(tmp_path_factory.mktemp("site"), DB_ADAPTER_ORDER="memory", AUTH_REGISTER_LIMIT_PER_ADDRESS=OFF)
    yield site.hash_with(CHEAP)
    site.close()


def set_cookies(answer: Any) -> dict[str, Morsel[str]]:
    return {
        name: morsel for text in answer.headers.getlist("Set-Cookie") for name, morsel in SimpleCookie(text).items()
    }


def test_the_cookies_are_for_https_and_out_of_the_reach_of_scripts(site: Site) -> None:
    body = {"email": "ada@example.org", "password": PASSWORD, "cookies": True}
    answer = site.post("/auth/register", body)
    cookies = set_cookies(answer)
    access, refreshing, csrf = (cookies[name] for name in NAMES)
    assert all(cookie["secure"] for cookie in cookies.values())
    assert not any(cookie["domain"] for cookie in cookies.values())
    assert [cookie["path"] for cookie in (access, refreshing, csrf)] == ["/", "/auth", "/"]
    assert [cookie["samesite"] for cookie in (access, refreshing, csrf)] == ["Lax", "Strict", "Lax"]
    assert [bool(cookie["httponly"]) for cookie in (access, refreshing, csrf)] == [True, True, False]
    assert int(access["max-age"]) == answer.json["expires_in"]
    assert 13 * 86_400 < int(refreshing["max-age"]) <= 14 * 86_400
    assert answer.json["csrf_token"] == csrf.value == csrf_token(access.value, refreshing.value)
    assert access.value not in answer.text
    assert refreshing.value not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_names_without_the_promise_of_https_are_not_read(site: Site) -> None:
    body = {"email": "ada@example.org", "password": PASSWORD, "cookies": True}
    values = {name: cookie.value for name, cookie in set_cookies(site.post("/auth/register", body)).items()}
    for prefix, status in (("__Host-", 200), ("", 401)):
        client = site.app.test_client(use_cookies=False)
        answer = client.get("/auth/me", headers={"Cookie": f"{prefix}isthmus_access={values[NAMES[0]]}"})
        assert answer.status_code == status
    assert_problem(site.post("/auth/refresh", {}, {"Cookie": "isthmus_refresh=isr_x"}), 401, "invalid-refresh-token")


def test_production_has_no_cookies_without_https() -> None:
    with pytest.raises(ConfigurationError, match="AUTH_COOKIE_SECURE"):
        load_settings(None, ENVIRONMENT="production", AUTH_COOKIE_SECURE="false")

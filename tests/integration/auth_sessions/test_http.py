"""Sessions over HTTP: what each route answers, to whom, and what is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from api.auth.session_responses import begin_session
from auth.bridge import AuthBridge
from auth.sessions.purging import KEPT
from auth.sessions.refresh_tokens import RefreshToken
from auth.sessions.sessions import SESSIONS
from auth.sessions.sessions import TOKENS
from auth.sign_in.accounts import Accounts
from config.sign_in import OFF
from database.core.clock import utc_now
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Update
from database.core.query.filters import Where
from database.extension import Isthmus
from tests.integration.http.support import CHEAP
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site

ADA = {"email": "ada@example.org", "password": PASSWORD}
SECRET = "only-for-the-throwaway-app-of-a-test"
NEW = "another correct horse"


@pytest.fixture(scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    limits = {"AUTH_REGISTER_LIMIT_PER_ADDRESS": OFF, "AUTH_LOGIN_LIMIT_PER_ACCOUNT": OFF}
    site = make_site(tmp_path_factory.mktemp("site"), DB_ADAPTER_ORDER="memory", JWT_SECRET=SECRET, **limits)
    yield site.hash_with(CHEAP)
    site.close()


@pytest.fixture
def site(_site: Site) -> Site:
    """The application without any accounts."""
    with as_application():
        for table in (SESSIONS, TOKENS, "isthmus_users"):
            _site.manager.run(Delete(table, where=Where("id", "neq", "")))
    return _site


def register(site: Site) -> Any:
    return site.post("/auth/register", ADA).json


def login(site: Site, password: str = PASSWORD, **headers: str) -> Any:
    answer = site.post("/auth/login", {**ADA, "password": password}, headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def refresh(site: Site, tokens: Any) -> Any:
    return site.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})


def access(tokens: Any) -> Headers:
    return bearer(tokens["access_token"])


def works(site: Site, tokens: Any) -> bool:
    status = site.get("/auth/me", access(tokens)).status_code
    assert status in {200, 401}
    return bool(status == 200)


def test_a_sign_in_begins_a_session_which_a_refresh_goes_on_with(site: Site) -> None:
    registered = register(site)
    first = login(site)
    assert set(first) == set(registered) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    again = refresh(site, first)
    assert again.status_code == 200
    assert again.headers["Cache-Control"] == "no-store"
    assert set(again.json) == set(first)
    assert again.json["user"] == first["user"]
    assert again.json["refresh_token"] != first["refresh_token"]
    assert works(site, again.json)
    assert "Set-Cookie" not in again.headers
    bridge: AuthBridge = Isthmus.of(site.app)[AuthBridge]
    sids = [bridge.verify(tokens["access_token"])["sid"] for tokens in (registered, first, again.json)]
    assert sids[1] == sids[2] != sids[0]


def test_a_refresh_reads_the_account_anew(site: Site) -> None:
    tokens = register(site)
    site.grant("ada", "admin")
    assert site.get("/auth/me", access(tokens)).json["role"] == "admin"
    assert refresh(site, tokens).json["user"]["role"] == "admin"


def test_a_lost_answer_is_given_again_and_a_late_token_ends_the_session_although_the_answer_is_401(site: Site) -> None:
    first = register(site)
    second = refresh(site, first).json
    assert refresh(site, first).json["refresh_token"] == second["refresh_token"]
    third = refresh(site, second).json
    problem = assert_problem(refresh(site, first), 401, "session-ended")
    assert "isr_" not in str(problem)
    (row,) = site.dump()[SESSIONS]
    assert row["end_reason"] == "refresh_reuse"
    assert_problem(refresh(site, third), 401, "session-ended")
    assert_problem(site.get("/auth/me", access(third)), 401, "invalid-token")


@pytest.mark.parametrize("token", [None, 5, "", "isr_x", RefreshToken.new().text], ids=count())
def test_what_is_no_refresh_token_is_a_401(site: Site, token: Any) -> None:
    answer = site.post("/auth/refresh", {"refresh_token": token})
    assert_problem(answer, 401, "invalid-refresh-token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(site: Site) -> None:
    tokens = register(site)
    assert_problem(site.post("/auth/refresh", {"refresh_token": tokens["access_token"]}), 401)
    assert_problem(site.get("/auth/me", bearer(tokens["refresh_token"])), 401)


def test_signing_out_ends_this_session_and_no_other(site: Site) -> None:
    other, tokens = register(site), login(site)
    answer = site.post("/auth/logout", {}, access(tokens))
    assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (204, b"", "no-store")
    assert not works(site, tokens)
    assert_problem(refresh(site, tokens), 401, "session-ended")
    assert works(site, other)
    assert refresh(site, other).status_code == 200


def test_signing_out_everywhere_ends_all_sessions_of_the_caller(site: Site) -> None:
    mine = [register(site), login(site), login(site)]
    others = site.register("bob")
    assert site.post("/auth/logout", {"everywhere": True}, access(mine[0])).status_code == 204
    assert [works(site, tokens) for tokens in mine] == [False] * 3
    assert site.get("/auth/me", others).status_code == 200


def test_sessions_are_listed_and_ended_by_their_owner_only(site: Site) -> None:
    register(site)
    tokens = login(site, **{"User-Agent": "Phone/1.0"})
    answer = site.get("/auth/sessions", access(tokens))
    assert answer.headers["Cache-Control"] == "no-store"
    newest, oldest = answer.json["data"]
    assert (newest["user_agent"], newest["current"], oldest["current"]) == ("Phone/1.0", True, False)
    assert set(newest) == {"id", "created_at", "last_used_at", "user_agent", "current"}
    path = f"/auth/sessions/{oldest['id']}"
    assert_problem(site.call("DELETE", path, headers=site.register("bob")), 404, "unknown-session")
    assert_problem(site.call("DELETE", path), 401)
    assert site.call("DELETE", path, headers=access(tokens)).status_code == 204
    assert_problem(site.call("DELETE", path, headers=access(tokens)), 404, "unknown-session")
    assert [one["id"] for one in site.get("/auth/sessions", access(tokens)).json["data"]] == [newest["id"]]


def test_another_password_ends_all_sessions_but_this_one(site: Site) -> None:
    other, tokens = register(site), login(site)
    change = {"current_password": PASSWORD, "new_password": NEW}
    answer = site.post("/auth/password", change, access(tokens))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (204, "no-store")
    assert not works(site, other)
    assert_problem(refresh(site, other), 401, "session-ended")
    assert works(site, refresh(site, tokens).json)
    assert_problem(site.post("/auth/login", ADA), 401, "invalid-credentials")
    assert works(site, login(site, NEW))


@pytest.mark.parametrize(
    ("change", "status", "name"),
    [
        ({"current_password": "wrong password"}, 401, "invalid-credentials"),
        ({"current_password": None}, 401, "invalid-credentials"),
        ({"new_password": "short"}, 422, "invalid-registration"),
        ({"new_password": None}, 422, "invalid-registration"),
        ({"email": "bob@example.org"}, 422, "invalid-registration"),
    ],
)
def test_a_change_of_password_that_is_refused_changes_nothing(
    site: Site, change: dict[str, Any], status: int, name: str
) -> None:
    other, tokens = register(site), login(site)
    before = site.dump()
    body = {"current_password": PASSWORD, "new_password": NEW, **change}
    assert_problem(site.post("/auth/password", body, access(tokens)), status, name)
    assert site.dump() == before
    assert works(site, other)


def test_an_account_without_a_password_gets_none_and_cannot_be_signed_in_to(site: Site) -> None:
    accounts: Accounts = Isthmus.of(site.app)[Accounts]
    account = accounts.register_without_password(ADA["email"])
    with site.app.test_request_context():
        tokens = begin_session(account).json
    change = {"current_password": "!", "new_password": NEW}
    assert_problem(site.post("/auth/password", change, access(tokens)), 409, "no-password")
    for password in ("!", "!!!!!!!!", PASSWORD):
        assert_problem(site.post("/auth/login", {**ADA, "password": password}), 401, "invalid-credentials")


def test_an_account_that_is_gone_has_no_sessions(site: Site) -> None:
    tokens, other = register(site), login(site)
    with as_application():
        site.manager.run(Delete("isthmus_users", where=Where("email", "eq", ADA["email"])))
    assert_problem(refresh(site, tokens), 401, "session-ended")
    assert {row["end_reason"] for row in site.dump()[SESSIONS]} == {"account_gone"}
    assert not works(site, other)


def test_a_token_of_no_session_is_believed_but_cannot_be_signed_out(site: Site) -> None:
    user = register(site)["user"]
    bridge: AuthBridge = Isthmus.of(site.app)[AuthBridge]
    headers = bearer(bridge.generate_token(user["id"], user))
    assert site.get("/auth/me", headers).status_code == 200
    assert_problem(site.post("/auth/logout", {}, headers), 403, "forbidden")
    assert [one["current"] for one in site.get("/auth/sessions", headers).json["data"]] == [False]
    assert site.post("/auth/logout", {"everywhere": True}, headers).status_code == 204
    assert site.get("/auth/sessions", headers).json == {"data": []}


BODIES = [
    ("/auth/refresh", {"refresh_token": "isr_", "user_id": "x"}, 422),
    ("/auth/refresh", [], 400),
    ("/auth/logout", {"everywhere": 1}, 422),
    ("/auth/logout", {"session": "x"}, 422),
    ("/auth/login", {**ADA, "cookies": "yes"}, 422),
    ("/auth/register", {"email": "bob@example.org", "password": PASSWORD, "cookies": 1}, 422),
    ("/auth/refresh", None, 415),
    ("/auth/logout", None, 415),
    ("/auth/password", None, 415),
]


@pytest.mark.parametrize(("path", "body", "status"), BODIES)
def test_bodies_are_strict(site: Site, path: str, body: Any, status: int) -> None:
    tokens = register(site)
    before = site.dump()
    assert_problem(site.post(path, body, access(tokens)), status)
    assert site.dump() == before


@pytest.mark.parametrize("path", ["/auth/logout", "/auth/password", "/auth/sessions", "/auth/sessions/x"])
def test_nobody_is_not_served(site: Site, path: str) -> None:
    method = {"/auth/sessions": "GET", "/auth/sessions/x": "DELETE"}.get(path, "POST")
    assert_problem(site.call(method, path), 401, "unauthorized")


def test_the_status_tells_of_revocation(site: Site) -> None:
    ended = site.get("/status").json["revocation"]["ended_sessions"]
    site.post("/auth/logout", {}, access(register(site)))
    revocation = site.get("/status").json["revocation"]
    assert (revocation["policy"], revocation["applies"]) == ("reads", False)
    assert revocation["ended_sessions"] > ended
    assert revocation["known_seconds_ago"] >= 0


def test_what_is_long_over_is_purged_and_nothing_else(site: Site) -> None:
    ended, idle, living = register(site), login(site), login(site)
    refresh(site, living)
    site.post("/auth/logout", {}, access(ended))
    age = utc_now() - KEPT - KEPT - KEPT - KEPT
    bridge: AuthBridge = Isthmus.of(site.app)[AuthBridge]
    ids = [bridge.verify(tokens["access_token"])["sid"] for tokens in (ended, idle, living)]
    with as_application():
        site.manager.run(Update(SESSIONS, {"ended_at": age}, ids[0]))
        site.manager.run(Update(SESSIONS, {"last_used_at": age}, ids[1]))
    run = site.app.test_cli_runner().invoke
    assert run(args=["auth", "purge-sessions"]).output == "Deleted 2 sessions and 2 refresh tokens.\n"
    assert [row["id"] for row in site.dump()[SESSIONS]] == ids[2:]
    assert len(site.dump()[TOKENS]) == 2
    assert run(args=["auth", "purge-sessions"]).output == "Deleted 0 sessions and 0 refresh tokens.\n"

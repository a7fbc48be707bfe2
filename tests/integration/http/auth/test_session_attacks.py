"""Attacks on sessions, cookies and accounts: each is refused with its own type, and logged without what was stolen."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from auth.sessions.cookies import csrf_token
from config.sign_in import OFF
from tests.integration.http.auth.test_attacks import assert_untold
from tests.integration.http.support import CHEAP
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site

HTTPS = "https://localhost"
ACCESS_COOKIE = "__Host-isthmus_access"
REFRESH_COOKIE = "__Secure-isthmus_refresh"
CSRF_COOKIE = "__Host-isthmus_csrf"
NOTE = {"title": "mine"}

numbers = count()


@dataclass(frozen=True, slots=True)
class Victim:
    """Somebody who is signed in, and whose tokens were stolen."""

    site: Site
    email: str
    access: str
    token: str

    @classmethod
    def at(cls, site: Site) -> Victim:
        email = f"user{next(numbers)}@example.org"
        answer = site.post("/auth/register", {"email": email, "password": PASSWORD}).json
        return cls(site, email, answer["access_token"], answer["refresh_token"])

    def refresh(self, token: Any) -> Any:
        return self.site.post("/auth/refresh", {"refresh_token": token})

    def exchanged(self, token: str) -> str:
        answer = self.refresh(token)
        assert answer.status_code == 200, answer.text
        successor: str = answer.json["refresh_token"]
        return successor

    def me(self) -> Any:
        return self.site.get("/auth/me", bearer(self.access))

    def does(self, path: str, body: Any = None) -> None:
        assert self.site.post(path, body or {}, bearer(self.access)).status_code == 204

    def by_cookie(self, method: str, path: str, body: Any = None, csrf: str | None = None, **cookies: str) -> Any:
        """A request that a browser sends with the victim's cookies, whoever made it."""
        client = self.site.app.test_client()
        proof = csrf_token(self.access, self.token)
        for name, value in {ACCESS_COOKIE: self.access, CSRF_COOKIE: proof, **cookies}.items():
            client.set_cookie(name, value, domain="localhost")
        client.set_cookie(REFRESH_COOKIE, self.token, domain="localhost", path="/auth")
        headers = {} if csrf is None else {"X-CSRF-Token": csrf}
        return client.open(path, method=method, json=body, headers=headers, base_url=HTTPS)


def replay_before_the_last(victim: Victim) -> Any:
    victim.exchanged(victim.exchanged(victim.token))
    return victim.refresh(victim.token)


def successor_of_a_replayed_token(victim: Victim) -> Any:
    last = victim.exchanged(victim.exchanged(victim.token))
    assert victim.refresh(victim.token).status_code == 401
    return victim.refresh(last)


def access_after_a_replay(victim: Victim) -> Any:
    replay_before_the_last(victim)
    return victim.me()


def after(path: str, body: Any, attack: Callable[[Victim], Any]) -> Callable[[Victim], Any]:
    """An attack once the victim has done something."""

    def attacked(victim: Victim) -> Any:
        victim.does(path, body)
        return attack(victim)

    return attacked


def after_a_new_password(victim: Victim) -> Any:
    """The thief has a session of his own, and the victim changes the password in another."""
    stolen = victim.site.post("/auth/login", {"email": victim.email, "password": PASSWORD}).json
    victim.does("/auth/password", {"current_password": PASSWORD, "new_password": f"new {PASSWORD}"})
    return victim.refresh(stolen["refresh_token"])


def end_of_anothers_session(victim: Victim) -> Any:
    (session,) = victim.site.get("/auth/sessions", bearer(victim.access)).json["data"]
    thief = Victim.at(victim.site)
    return victim.site.call("DELETE", f"/auth/sessions/{session['id']}", headers=bearer(thief.access))


def fixed_cookies(victim: Victim) -> Any:
    """The thief plants his cookies in a browser; who signs in there gets a session that he does not know."""
    thief = Victim.at(victim.site)
    planted = thief.by_cookie("POST", "/auth/login", {"email": victim.email, "password": PASSWORD, "cookies": True})
    assert planted.status_code == 200
    assert planted.json["user"]["email"] == victim.email
    assert thief.token not in str(planted.headers)
    return thief.refresh(thief.token)


def registered_with(**fields: Any) -> Callable[[Victim], Any]:
    body = {"email": "new@example.org", "password": PASSWORD, **fields}
    return lambda victim: victim.site.post("/auth/register", body)


def note_of_another(victim: Victim) -> Any:
    thief = Victim.at(victim.site)
    owner = victim.site.get("/auth/me", bearer(victim.access)).json["id"]
    return victim.site.post("/api/notes", {**NOTE, "owner_id": owner}, bearer(thief.access))


ATTACKS: dict[str, tuple[Callable[[Victim], Any], int, str]] = {
    # Refresh tokens
    "access token as refresh token": (lambda victim: victim.refresh(victim.access), 401, "invalid-refresh-token"),
    "refresh token as access token": (
        lambda victim: victim.site.get("/auth/me", bearer(victim.token)),
        401,
        "invalid-token",
    ),
    "refresh token cut short": (lambda victim: victim.refresh(victim.token[:-1]), 401, "invalid-refresh-token"),
    "refresh token in capitals": (lambda victim: victim.refresh(victim.token.upper()), 401, "invalid-refresh-token"),
    "refresh token with a space": (lambda victim: victim.refresh(f"{victim.token} "), 401, "invalid-refresh-token"),
    "refresh token guessed": (lambda victim: victim.refresh("isr_" + "A" * 43), 401, "invalid-refresh-token"),
    "refresh token is SQL": (lambda victim: victim.refresh("' or '1'='1"), 401, "invalid-refresh-token"),
    "refresh token is a list": (lambda victim: victim.refresh([victim.token]), 401, "invalid-refresh-token"),
    "refresh token oversize": (lambda victim: victim.refresh("isr_" + "A" * 100_000), 401, "invalid-refresh-token"),
    "replayed refresh token": (replay_before_the_last, 401, "session-ended"),
    "successor of a replayed one": (successor_of_a_replayed_token, 401, "session-ended"),
    # Sessions that have ended
    "access after a replay": (access_after_a_replay, 401, "invalid-token"),
    "access after logout": (after("/auth/logout", None, Victim.me), 401, "invalid-token"),
    "refresh after logout": (
        after("/auth/logout", None, lambda victim: victim.refresh(victim.token)),
        401,
        "session-ended",
    ),
    "access after logout everywhere": (after("/auth/logout", {"everywhere": True}, Victim.me), 401, "invalid-token"),
    "refresh after a new password": (after_a_new_password, 401, "session-ended"),
    "end of another's session": (end_of_anothers_session, 404, "unknown-session"),
    "fixed cookies": (fixed_cookies, 401, "session-ended"),
    # Cookies
    "change by cookie alone": (lambda victim: victim.by_cookie("POST", "/api/notes", NOTE), 403, "csrf"),
    "change with an empty proof": (lambda victim: victim.by_cookie("POST", "/api/notes", NOTE, ""), 403, "csrf"),
    "change with a planted proof": (
        lambda victim: victim.by_cookie("POST", "/api/notes", NOTE, "planted", **{CSRF_COOKIE: "planted"}),
        403,
        "csrf",
    ),
    "change with another's proof": (
        lambda victim: victim.by_cookie(
            "POST", "/api/notes", NOTE, other := csrf_token("x", "y"), **{CSRF_COOKIE: other}
        ),
        403,
        "csrf",
    ),
    "refresh by cookie alone": (lambda victim: victim.by_cookie("POST", "/auth/refresh", {}), 403, "csrf"),
    "logout by cookie alone": (lambda victim: victim.by_cookie("POST", "/auth/logout", {}), 403, "csrf"),
    "deletion by cookie alone": (lambda victim: victim.by_cookie("DELETE", "/api/notes/1"), 403, "csrf"),
    # Mass assignment
    "register as admin": (registered_with(role="admin"), 422, "invalid-registration"),
    "register with permissions": (registered_with(permissions=["*"]), 422, "invalid-registration"),
    "register with metadata": (registered_with(app_metadata={"role": "admin"}), 422, "invalid-registration"),
    "register with an id": (registered_with(id="018f5c3e-0000-7000-8000-000000000001"), 422, "invalid-registration"),
    "register with a hash": (registered_with(password_hash="x"), 422, "invalid-registration"),
    "sign in as admin": (
        lambda victim: victim.site.post("/auth/login", {"email": victim.email, "password": PASSWORD, "role": "admin"}),
        422,
        "invalid-registration",
    ),
    "role changed as a record": (
        lambda victim: victim.site.call("PATCH", "/api/isthmus_users/1", {"role": "admin"}, bearer(victim.access)),
        404,
        "not-found",
    ),
    "a note in another's name": (note_of_another, 403, "permission-denied"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    limits = {"AUTH_REGISTER_LIMIT_PER_ADDRESS": OFF, "AUTH_LOGIN_LIMIT_PER_ADDRESS": OFF}
    site = make_site(tmp_path_factory.mktemp("sessions"), DB_ADAPTER_ORDER="memory", **limits)
    yield site.hash_with(CHEAP)
    site.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_stolen_is_worth_nothing(site: Site, attack: str, caplog: pytest.LogCaptureFixture) -> None:
    attacked, status, name = ATTACKS[attack]
    victim = Victim.at(site)
    with caplog.at_level("INFO"):
        answer = attacked(victim)
    assert_problem(answer, status, name)
    for secret in (victim.access, victim.token, PASSWORD):
        assert_untold(secret, caplog.text, answer.text, str(answer.headers))
    if not name.startswith(("not-found", "permission")):
        assert any(record.getMessage().startswith("refused ") for record in caplog.records)


def test_the_page_itself_may(site: Site) -> None:
    victim = Victim.at(site)
    proof = csrf_token(victim.access, victim.token)
    assert victim.by_cookie("POST", "/api/notes", NOTE, proof).status_code == 201
    assert victim.by_cookie("GET", "/api/notes").json["data"][0]["title"] == "mine"
    assert victim.by_cookie("POST", "/auth/refresh", {}, proof).status_code == 200

"""Every request asks Convex as its own caller."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.flask_convex import FlaskConvexIntegration
from database.backends.convex import ConvexAdapter
from database.core.context import as_application
from database.core.errors import CallerMissing
from tests.integration.flask_convex.support import get
from tests.integration.flask_convex.support import names_in


@pytest.fixture
def tokens(flask_convex: FlaskConvexIntegration) -> dict[str, str]:
    """The tokens of two users, by their ids."""
    bridge = flask_convex.get_auth_bridge()
    return {
        "ada": bridge.generate_token("ada", {"email": "ada@example.org", "role": "admin"}),
        "bob": bridge.generate_token("bob", {"email": "bob@example.org"}),
    }


def test_callers_are_themselves_in_convex(client: FlaskClient, tokens: dict[str, str]) -> None:
    seen = [get(client, "/viewer", tokens[user]) for user in ("ada", "bob", "ada")]
    assert [(viewer["subject"], viewer["role"], viewer["service"]) for viewer in seen] == [
        ("ada", "admin", False),
        ("bob", "user", False),
        ("ada", "admin", False),
    ]


def test_an_anonymous_request_stays_anonymous(client: FlaskClient, tokens: dict[str, str]) -> None:
    assert get(client, "/viewer") is None
    assert get(client, "/viewer", tokens["ada"])["subject"] == "ada"
    assert get(client, "/viewer") is None


def test_requests_at_the_same_time_do_not_mix(app: Flask, tokens: dict[str, str]) -> None:
    def seen_as(user: str | None) -> str | None:
        viewer = get(app.test_client(), "/viewer", tokens[user] if user else None)
        return viewer["subject"] if viewer else None

    users = ["ada", "bob", None] * 20
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(seen_as, users)) == users


def test_views_find_the_caller(client: FlaskClient, tokens: dict[str, str]) -> None:
    caller = get(client, "/caller", tokens["ada"])
    assert caller["id"] == "ada"
    assert caller["data"]["role"] == "admin"
    assert caller["identity"]["tokenIdentifier"] == "ada@example.org"
    assert caller["token"] == tokens["ada"]
    assert set(get(client, "/caller").values()) == {None}


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Basic YTpi"])
def test_a_bad_token_is_refused_as_a_problem(
    client: FlaskClient, convex_store: ConvexAdapter, authorization: str
) -> None:
    answer = client.post("/both/200", headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert names_in(convex_store, "molecules") == []


def test_an_anonymous_caller_cannot_write(client: FlaskClient, convex_store: ConvexAdapter) -> None:
    answer = client.post("/both/200")
    assert answer.status_code == 403
    assert "urn:isthmus:problem:permission-denied" in answer.text
    assert names_in(convex_store, "molecules") == []


def test_outside_of_requests_the_application_says_that_it_asks_itself(flask_convex: FlaskConvexIntegration) -> None:
    with pytest.raises(CallerMissing):
        flask_convex.execute_query("api.users.viewer")
    with as_application():
        assert flask_convex.execute_query("api.users.viewer")["service"] is True

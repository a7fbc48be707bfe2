"""Keys rotate twice and are revoked while clients work: no good token is refused, and no dropped key is accepted.

The clients work for ``ROTATION_LOAD_SECONDS``, 3 by default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

import httpx
import jwt
import pytest

from auth.bridge import AuthBridge
from config.settings import load_settings
from tests.simulation.load import CLIENTS
from tests.simulation.load import PATIENCE
from tests.simulation.load import Clients
from tests.simulation.served import ServedApp

SECONDS: Final = float(os.environ.get("ROTATION_LOAD_SECONDS", "3"))
PUBLISH: Final = "0.5"
ADA: Final = {"email": "ada@example.com", "password": "correct horse"}
KNOWN_WITHIN: Final = 1.0  # seconds, in all processes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got for a token; times are monotonic seconds."""

    kid: str
    sent: float
    received: float
    status: int


class TokenUsers(Clients):
    """Clients that sign in, make tokens with the shared keys, and use these and an old one in turn."""

    def __init__(self, url: str, bridge: AuthBridge, user_id: str) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self._url = url
        self._bridge = bridge
        self._user_id = user_id
        self._old = bridge.generate_token(user_id)

    def work_for(self, seconds: float) -> None:
        """Wait while they do, which is what there is to wait for; then until each of them has gone on."""
        assert not self._ending.wait(seconds)
        enough = len(self.answers) + 3 * CLIENTS
        until = monotonic() + PATIENCE
        while len(self.answers) < enough:
            assert monotonic() < until, "the clients get no answers"
            self._ending.wait(0.01)

    def _work(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE, trust_env=False) as client:
            while not self._ending.is_set():
                for token in (signed_in(client), self._bridge.generate_token(self._user_id), self._old):
                    self.answers.append(ask(client, token))


def signed_in(client: httpx.Client) -> str:
    answer = client.post("/auth/login", json=ADA)
    while answer.status_code == 429:  # while others sign in
        Event().wait(0.02)
        answer = client.post("/auth/login", json=ADA)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


def ask(client: httpx.Client, token: str) -> Answer:
    sent = monotonic()
    status = client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code
    return Answer(jwt.get_unverified_header(token)["kid"], sent, monotonic(), status)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ServedApp]:
    """The application in two processes, with keys that rotate."""
    with ServedApp(tmp_path, JWT_SECRET="", WORKERS="2", REQUEST_TIMEOUT="30") as served:
        yield served


@pytest.fixture
def bridge(app: ServedApp, tmp_path: Path) -> AuthBridge:
    """Another process with the same keys."""
    shared = {"INSTANCE_PATH": tmp_path / "instance", "JWT_KEY_PUBLISH_SECONDS": PUBLISH}
    return AuthBridge(settings=load_settings(None, ENVIRONMENT="testing", **shared))


def registered(app: ServedApp) -> str:
    answer = httpx.post(f"{app.url}/auth/register", json=ADA, timeout=PATIENCE, trust_env=False)
    assert answer.status_code == 201
    user_id: str = answer.json()["user"]["id"]
    return user_id


def published(app: ServedApp) -> set[str]:
    answer = httpx.get(f"{app.url}/.well-known/jwks.json", timeout=PATIENCE, trust_env=False)
    return {key["kid"] for key in answer.json()["keys"]}


def rotated(app: ServedApp, bridge: AuthBridge) -> str:
    """Wait for the whole of a rotation; the name of the key that signs now."""
    former = bridge.key.kid
    bridge.rotate_key()
    until = monotonic() + PATIENCE
    while bridge.key.kid == former:
        assert monotonic() < until, "the next key does not sign"
    while not {former, bridge.key.kid} <= published(app):
        assert monotonic() < until, "the keys are not published"
    return str(bridge.key.kid)


def test_rotations_under_load(app: ServedApp, bridge: AuthBridge) -> None:
    phase = SECONDS / 4
    used = [str(bridge.key.kid)]
    with TokenUsers(app.url, bridge, registered(app)) as clients:
        for _ in range(2):
            clients.work_for(phase)
            used.append(rotated(app, bridge))
        clients.work_for(phase)
        before = monotonic()
        bridge.rotate_key(at_once=True, revoke=True)
        after = monotonic()
        clients.work_for(max(phase, KNOWN_WITHIN))
        new = str(bridge.key.kid)
    answers = clients.answers
    good = [answer for answer in answers if answer.kid == new or answer.received < before]
    dropped = [answer for answer in answers if answer.kid != new and answer.sent > after + KNOWN_WITHIN]
    assert {answer.kid for answer in good} == {*used, new}
    assert {answer.status for answer in good} == {200}
    assert {answer.status for answer in dropped} == {401}
    assert published(app) == {new}

"""Access tokens: verified anew and again, beside PyJWT with the same checks; and a signed-in request."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from collections.abc import Sequence
from datetime import timedelta
from itertools import cycle
from itertools import islice
from typing import Any

import jwt
from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from auth import middleware
from auth.bridge import AuthBridge
from auth.claims import REQUIRED
from auth.keys.files import new_private_key
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from auth.keys.signing import secret_signing_key
from auth.sessions.cookies import SessionCookies
from auth.sessions.revocation import Revocation
from auth.verification import MAX_CACHED
from benchmarks.harness import Measure
from benchmarks.harness import per_call
from benchmarks.harness import per_item
from benchmarks.harness import report
from config.settings import load_settings
from database.adapters.memory import MemoryAdapter

_CACHED_CALLS = 20_000
_NEW_TOKENS = 200
_REQUESTS = 500
_USER = {"email": "user@example.com", "name": "Example User", "role": "editor"}
_OPTIONS: Any = {"require": list(REQUIRED)}


def run(rounds: int) -> None:
    """Print a table for each algorithm, and one of requests."""
    keys = [
        asymmetric_signing_key(new_private_key("ES256"), "ES256"),
        asymmetric_signing_key(new_private_key("RS256"), "RS256"),
        secret_signing_key(secrets.token_hex(), production=True),
    ]
    for key in keys:
        _verification(key, rounds)
    _requests(keys[0], rounds)


def _verification(key: SigningKey, rounds: int) -> None:
    bridge = _bridge(key)
    token = _token(bridge)
    # More than are remembered, so that each of them has been forgotten when its turn comes again.
    tokens = [_token(bridge) for _ in range(MAX_CACHED + _NEW_TOKENS)]
    ours, theirs = cycle(tokens), cycle(tokens)
    cases: dict[str, Measure] = {
        "PyJWT": per_item(_peer(bridge), lambda: _some(theirs)),
        "Isthmus, a new token": per_item(bridge.verify, lambda: _some(ours)),
        "Isthmus, a known token": per_call(lambda: bridge.verify(token), _CACHED_CALLS),
    }
    report(f"Verification of a token, {key.algorithm}", cases, baseline="PyJWT", rounds=rounds)


def _requests(key: SigningKey, rounds: int) -> None:
    bridge = _bridge(key)
    guarded, database = _app(), MemoryAdapter()
    revocation = Revocation(database, token_life=timedelta(seconds=bridge.expiry), policy="reads", max_stale=30)
    middleware.init_app(guarded, bridge, revocation=revocation, cookies=SessionCookies(secure=True))
    cases = {
        "empty route": per_call(_caller(_app()), _REQUESTS),
        "the same with identity, signed in": per_call(_caller(guarded, _token(bridge)), _REQUESTS),
        "the same with identity, nobody": per_call(_caller(guarded), _REQUESTS),
    }
    report("Flask: who asks", cases, baseline="empty route", rounds=rounds)
    database.disconnect()


def _bridge(key: SigningKey) -> AuthBridge:
    return AuthBridge(key=key, settings=load_settings(None))


def _token(bridge: AuthBridge) -> str:
    return bridge.generate_token("018f5c3e-0000-7000-8000-000000000001", _USER, session_id="a session")


def _some(tokens: cycle[str]) -> Sequence[str]:
    return list(islice(tokens, _NEW_TOKENS))


def _peer(bridge: AuthBridge) -> Callable[[str], object]:
    """PyJWT's own decoding, with its key at hand."""
    key, algorithms = bridge.key.public, [bridge.key.algorithm]

    def decode(token: str) -> object:
        return jwt.decode(token, key, algorithms, _OPTIONS, audience=bridge.audience, issuer=bridge.issuer, leeway=10.0)

    return decode


def _app() -> Flask:
    app = Flask("bench")

    @app.get("/")
    def index() -> ResponseReturnValue:
        return {"status": "alive"}

    return app


def _caller(app: Flask, token: str | None = None) -> Callable[[], object]:
    """Sends a request to ``app`` as a server would; every answer's status is checked."""
    headers = Headers() if token is None else Headers({"Authorization": f"Bearer {token}"})
    base = EnvironBuilder(headers=headers).get_environ()

    def start_response(status: str, *_: Any) -> Callable[[bytes], object]:
        assert status == "200 OK", status
        return lambda _: None

    def call() -> None:
        answer: Any = app(dict(base), start_response)
        answer.close()

    return call

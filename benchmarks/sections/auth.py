"""Verification of new and known access tokens, compared with PyJWT with the same checks; and a signed-in request."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
from flask import Flask
from flask.typing import ResponseReturnValue

from auth import AuthBridge
from auth import SessionCookies
from auth import middleware
from auth.claims import REQUIRED
from auth.keys.pem import new_private_key
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from auth.keys.signing import secret_signing_key
from auth.sessions.revocation import Revocation
from benchmarks.contenders.wsgi import caller
from benchmarks.harness import Measure
from benchmarks.harness import compare
from benchmarks.harness import per_call
from benchmarks.harness import per_item
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from config.settings import load_settings
from database import MemoryAdapter

_CACHED_CALLS = 20_000
_NEW_TOKENS = 200
_REQUESTS = 500
_NEW = "Isthmus, a new token"
_KNOWN = "Isthmus, a known token"
_WHO_ASKS = "Flask: who asks"
_SIGNED_IN = "the same with identity, signed in"
_USER = {"email": "user@example.com", "name": "Example User", "role": "editor"}
_OPTIONS: Any = {"require": list(REQUIRED)}


def _title(algorithm: str) -> str:
    return f"Verification of a token, {algorithm}"


LINES = (
    Line("a token that is known", _title("ES256"), _KNOWN, "", 1.5e-6, "figure"),
    *(
        Line(f"a new token, {algorithm}", _title(algorithm), _NEW, "PyJWT, the same checks", 1.15)
        for algorithm in ("ES256", "RS256", "HS256")
    ),
    Line("Flask request: token and session, nothing else", _WHO_ASKS, _SIGNED_IN, "an empty route", 1.2),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each algorithm, then requests."""
    keys = [
        asymmetric_signing_key(new_private_key("ES256"), "ES256"),
        asymmetric_signing_key(new_private_key("RS256"), "RS256"),
        secret_signing_key(secrets.token_hex(), production=True),
    ]
    for key in keys:
        yield _verification(key, plan)
    yield _requests(keys[0], plan)


def _verification(key: SigningKey, plan: Plan) -> Table:
    bridge = _bridge(key)
    token = _token(bridge)

    def new_tokens() -> list[str]:
        return [_token(bridge) for _ in range(plan.of(_NEW_TOKENS))]

    cases: dict[str, Measure] = {
        "PyJWT": per_item(_peer(bridge), new_tokens),
        _NEW: per_item(bridge.verify, new_tokens),
        _KNOWN: per_call(lambda: bridge.verify(token), plan.of(_CACHED_CALLS)),
    }
    return compare(_title(key.algorithm), cases, baseline="PyJWT", plan=plan)


def _requests(key: SigningKey, plan: Plan) -> Table:
    bridge = _bridge(key)
    guarded, database = _app(), MemoryAdapter()
    revocation = Revocation(database, token_life=timedelta(seconds=bridge.expiry), policy="reads", max_stale=30)
    middleware.init_app(guarded, bridge, revocation=revocation, cookies=SessionCookies(secure=True))
    calls = plan.of(_REQUESTS)
    cases = {
        "empty route": per_call(caller(_app()), calls),
        _SIGNED_IN: per_call(caller(guarded, token=_token(bridge)), calls),
        "the same with identity, nobody": per_call(caller(guarded), calls),
    }
    try:
        return compare(_WHO_ASKS, cases, baseline="empty route", plan=plan)
    finally:
        database.disconnect()


def _bridge(key: SigningKey) -> AuthBridge:
    return AuthBridge(key=key, settings=load_settings(None))


def _token(bridge: AuthBridge) -> str:
    return bridge.generate_token("018f5c3e-0000-7000-8000-000000000001", _USER, session_id="a session")


def _peer(bridge: AuthBridge) -> Callable[[str], object]:
    """Decoding by PyJWT with a loaded key."""
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

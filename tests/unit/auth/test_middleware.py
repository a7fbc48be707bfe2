"""Who asks: every request has its own caller, and a bad token is never nobody."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import count
from threading import Barrier
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask import copy_current_request_context
from flask import g
from flask import jsonify
from flask import make_response
from flask import request

from auth import middleware
from auth.bridge import AuthBridge
from auth.errors import AuthenticationFailed
from auth.errors import AuthError
from auth.guards import convex_identity_required
from auth.guards import jwt_required
from auth.guards import role_required
from database.core.context import NO_CONTEXT
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.context import current_context
from database.extension import Isthmus
from tests.unit.auth.forging import STRANGERS_KEY
from tests.unit.auth.forging import forge
from tests.unit.auth.forging import good_claims
from tests.unit.auth.forging import make_bridge


def render(error: AuthError) -> Response:
    answer = jsonify(code=error.code, message=error.message, role=current_role())
    return make_response(answer, error.status, error.headers)


def current_role() -> str | None:
    identity = current_context.get().identity
    return None if identity is None else identity.role


def whoami() -> dict[str, Any]:
    identity = current_context.get().identity
    assert identity is not None
    return {
        "user_id": g.user_id,
        "user_data": g.user_data,
        "convex_identity": g.convex_identity,
        "convex_token": g.convex_token,
        "subject": identity.subject,
        "role": identity.role,
        "claims": dict(identity.claims),
    }


@pytest.fixture
def bridge() -> AuthBridge:
    return make_bridge()


@pytest.fixture
def app(bridge: AuthBridge) -> Flask:
    app = Flask(__name__)
    app.register_error_handler(AuthError, render)
    middleware.init_app(app, bridge)
    app.get("/whoami")(whoami)
    return app


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_token_the_caller_is_nobody(app: Flask) -> None:
    assert app.test_client().get("/whoami").json == {
        "user_id": None,
        "user_data": None,
        "convex_identity": None,
        "convex_token": None,
        "subject": None,
        "role": "anon",
        "claims": {},
    }


def test_with_a_token_views_and_data_layer_know_the_caller(app: Flask, bridge: AuthBridge) -> None:
    user = {"email": "a@example.com", "role": "editor", "name": "A", "permissions": ["read"]}
    identity = bridge.create_convex_identity("user_1", user)
    answer = app.test_client().get("/whoami", headers=bearer(identity["token"])).json
    assert answer is not None
    assert answer["user_id"] == answer["subject"] == "user_1"
    assert answer["user_data"] == user
    assert answer["convex_identity"] == identity
    assert answer["convex_token"] == identity["token"]
    assert answer["role"] == "authenticated"
    assert answer["claims"] == bridge.validate_token(identity["token"])


def test_a_token_made_elsewhere_with_our_key_lacks_only_what_it_does_not_say(app: Flask) -> None:
    claims = good_claims(app_metadata="nothing of ours", role=None)
    answer = app.test_client().get("/whoami", headers=bearer(forge(claims))).json
    assert answer is not None
    assert answer["user_data"] == {"email": None, "role": "user", "name": "", "permissions": []}
    assert answer["convex_identity"]["tokenIdentifier"] == claims["sub"]


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_in_any_case(app: Flask, scheme: str) -> None:
    answer = app.test_client().get("/whoami", headers={"Authorization": scheme + forge()})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer\tx",
        "Basic dXNlcjpwYXNz",
        f"Token {forge()}",
        f"JWT {forge()}",
        f"Basic {forge()}",
        f"DPoP {forge()}",
        forge(),
        f"Bearer{forge()}",
        f"Bearer: {forge()}",
        f"Bearer {forge()}, Bearer {forge()}",
        f"Bearer {forge()} {forge()}",
        f"Bearer {forge(good_claims(exp=1))}",
        f"Bearer {forge(key=STRANGERS_KEY)}",
        f"Bearer {forge()}é",
    ],
    ids=count(),
)
def test_a_bad_token_is_refused_and_never_anonymous(app: Flask, header: str) -> None:
    answer = app.test_client().get("/whoami", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    # The error handler reaches the database as nobody, not as the application itself.
    assert answer.json is not None
    assert answer.json["role"] == "anon"


def test_a_refused_token_is_told_why_in_the_challenge(app: Flask) -> None:
    answer = app.test_client().get("/whoami", headers=bearer(forge(good_claims(exp=1))))
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token", error_description="expired"'
    assert answer.json == {"code": "invalid_token", "message": "Invalid token: expired", "role": "anon"}


@pytest.mark.parametrize("headers", [{}, bearer(forge()), bearer("bad")], ids=["none", "good", "bad"])
def test_the_context_is_left_as_it_was(app: Flask, headers: dict[str, str]) -> None:
    app.test_client().get("/whoami", headers=headers)
    assert current_context.get() is NO_CONTEXT
    with acting_as(SERVICE):
        before = current_context.get()
        app.test_client().get("/whoami", headers=headers)
        assert current_context.get() is before


def test_the_context_is_left_after_a_crash(app: Flask) -> None:
    def crash() -> str:
        assert current_role() == "authenticated"
        raise RuntimeError("crash")

    app.get("/crash")(crash)
    assert app.test_client().get("/crash", headers=bearer(forge())).status_code == 500
    assert current_context.get() is NO_CONTEXT


def test_the_caller_is_known_before_any_hook_answers() -> None:
    app = Flask(__name__)
    app.before_request(lambda: "answered")
    bridge = make_bridge()
    middleware.init_app(app, bridge)
    app.register_error_handler(AuthenticationFailed, lambda error: (error.message, error.status))
    assert app.test_client().get("/", headers=bearer("bad")).status_code == 401
    assert app.test_client().get("/", headers=bearer(bridge.generate_token("ada"))).text == "answered"
    assert current_context.get() is NO_CONTEXT


def test_a_copied_request_ends_in_another_thread(app: Flask) -> None:
    roles: list[str | None] = []

    def spawn() -> str:
        @copy_current_request_context
        def copied() -> None:
            roles.append(request.path)

        thread = Thread(target=copied)
        thread.start()
        thread.join(timeout=30)
        roles.append(current_role())
        return ""

    app.get("/spawn")(spawn)
    assert app.test_client().get("/spawn", headers=bearer(forge())).status_code == 200
    assert roles == ["/spawn", "authenticated"]
    assert current_context.get() is NO_CONTEXT


def test_requests_at_the_same_time_keep_their_own_caller(app: Flask, bridge: AuthBridge) -> None:
    workers = 8
    barrier = Barrier(workers)

    def meet() -> dict[str, Any]:
        before = whoami()
        barrier.wait(timeout=30)
        assert whoami() == before
        return before

    app.get("/meet")(meet)
    users = [None if number % 4 == 0 else f"user_{number}" for number in range(workers * 5)]

    def ask(user: str | None) -> dict[str, Any]:
        headers = {} if user is None else bearer(bridge.generate_token(user))
        answer: dict[str, Any] = app.test_client().get("/meet", headers=headers).get_json()
        assert current_context.get() is NO_CONTEXT
        return answer

    with ThreadPoolExecutor(workers) as pool:
        answers = list(pool.map(ask, users))
    assert [answer["user_id"] for answer in answers] == users
    assert [answer["subject"] for answer in answers] == users


def test_callers_do_not_share_what_views_may_change(app: Flask) -> None:
    def promote() -> dict[str, Any]:
        before: dict[str, Any] = deepcopy(g.user_data)
        g.user_data["role"] = "admin"
        g.user_data["permissions"].append("*")
        g.convex_identity["traits"]["role"] = "admin"
        return before

    app.get("/promote")(promote)
    headers = bearer(forge(good_claims(app_metadata={"role": "user", "permissions": ["read"]})))
    first, second = (app.test_client().get("/promote", headers=headers).json for _ in range(2))
    assert first == second == {"email": None, "role": "user", "name": "", "permissions": ["read"]}


def test_setting_up_twice_is_a_mistake(app: Flask, bridge: AuthBridge) -> None:
    with pytest.raises(RuntimeError, match="once"):
        middleware.init_app(app, bridge)
    assert Isthmus.of(app)[AuthBridge] is bridge


def guarded(app: Flask, guard: Callable[[Any], Any], role: str | None) -> tuple[int, Any]:
    def view(number: int) -> dict[str, int]:
        return {"number": number}

    app.get("/guarded/<int:number>")(guard(view))
    bridge: AuthBridge = Isthmus.of(app)[AuthBridge]
    headers = {} if role is None else bearer(bridge.generate_token("user_1", {"role": role}))
    answer = app.test_client().get("/guarded/7", headers=headers)
    return answer.status_code, answer.json


@pytest.mark.parametrize("guard", [jwt_required, role_required("user"), convex_identity_required])
def test_guards_let_the_right_callers_in(app: Flask, guard: Callable[[Any], Any]) -> None:
    assert guarded(app, guard, "user") == (200, {"number": 7})


@pytest.mark.parametrize("guard", [jwt_required, role_required("user"), role_required(["user"])])
def test_guards_want_somebody(app: Flask, guard: Callable[[Any], Any]) -> None:
    status, answer = guarded(app, guard, None)
    assert status == 401
    assert (answer["code"], answer["message"]) == ("unauthorized", "Authentication required")


def test_a_convex_identity_is_asked_for_by_name(app: Flask) -> None:
    status, answer = guarded(app, convex_identity_required, None)
    assert (status, answer["code"]) == (401, "unauthorized_convex")


@pytest.mark.parametrize(
    ("roles", "named"), [("editor", "editor"), (["editor", "owner"], "editor, owner"), ("admin", "admin")]
)
def test_a_role_is_demanded_by_name(app: Flask, roles: Any, named: str) -> None:
    status, answer = guarded(app, role_required(roles), "user")
    assert (status, answer["code"]) == (403, "forbidden")
    assert answer["message"] == f"Access denied. Required role: {named}"


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_one_role_of_several_and_admin_pass(app: Flask, role: str) -> None:
    assert guarded(app, role_required(iter(["editor", "owner"])), role)[0] == 200


def test_a_role_within_a_role_is_another_role(app: Flask) -> None:
    assert guarded(app, role_required("administrator"), "administrator"[:5] + "x")[0] == 403


def test_a_guard_without_a_role_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="role"):
        role_required([])


def test_a_guarded_view_keeps_its_name() -> None:
    assert jwt_required(whoami).__name__ == "whoami"


def test_without_an_error_handler_the_answer_is_json(bridge: AuthBridge) -> None:
    app = Flask(__name__)
    middleware.init_app(app, bridge)
    app.get("/")(jwt_required(lambda: "secret"))
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.json) == (401, {"code": "unauthorized", "message": "Authentication required"})
    assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("first", [True, False])
def test_the_applications_error_handler_is_kept(bridge: AuthBridge, first: bool) -> None:
    app = Flask(__name__)
    if first:
        app.register_error_handler(AuthError, lambda _: ("mine", 418))
    middleware.init_app(app, bridge)
    if not first:
        app.register_error_handler(AuthError, lambda _: ("mine", 418))
    app.get("/")(jwt_required(lambda: "secret"))
    assert app.test_client().get("/").status_code == 418


@pytest.mark.parametrize("guard", [jwt_required, convex_identity_required, role_required("user")])
def test_a_guard_without_the_middleware_says_what_is_missing(guard: Callable[..., Any]) -> None:
    app = Flask(__name__)
    app.register_error_handler(AuthError, render)
    app.get("/")(guard(lambda: "secret"))
    assert app.test_client().get("/").status_code == 500
    app.testing = True
    with pytest.raises(LookupError, match=r"call auth\.middleware\.init_app"):
        app.test_client().get("/")

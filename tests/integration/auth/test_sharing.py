"""One token, made by the application, is believed by Flask and by a Convex deployment that was told of its key."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import jwt
import pytest
from flask.testing import FlaskCliRunner

from app import create_app
from auth.bridge import AuthBridge
from config.settings import load_settings
from database.backends.convex import ConvexAdapter
from database.core.context import Identity
from database.core.context import acting_as
from database.extension import Isthmus
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import JwtProvider

SUBJECT = "01890000-0000-7000-8000-000000000001"


@pytest.fixture
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> FlaskCliRunner:
    """The command line of an application with settings of its own."""
    chosen = getattr(request, "param", {})
    settings = load_settings(None, instance_path=tmp_path, local_db_path=tmp_path / "data.db", **chosen)
    return create_app(settings).test_cli_runner()


def output(runner: FlaskCliRunner, *command: str) -> str:
    result = runner.invoke(args=["auth", *command])
    assert result.exit_code == 0, result.output
    return result.stdout


def convex_provider(runner: FlaskCliRunner) -> JwtProvider:
    """What the command prints for a deployment."""
    variables = dict(line.split("=", 1) for line in output(runner, "convex-config").splitlines())
    return JwtProvider(*[variables[f"CONVEX_JWT_{name}"] for name in ("ISSUER", "AUDIENCE", "JWKS", "ALGORITHM")])


def status(deployment: ConvexDeployment, token: str) -> int:
    """What the deployment says to a caller with this token."""
    body = {"path": "users:viewer", "args": {}}
    bearer = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{deployment.url}/api/query", json=body, headers=bearer, trust_env=False).status_code


@pytest.mark.parametrize("runner", [{}, {"jwt_algorithm": "RS256"}], ids=["ES256", "RS256"], indirect=True)
def test_convex_believes_the_application(runner: FlaskCliRunner) -> None:
    provider = convex_provider(runner)
    token = Isthmus.of(runner.app)[AuthBridge].generate_token(SUBJECT, {"email": "ada@example.com"})
    headers = {"Authorization": f"Bearer {token}"}
    assert runner.app.test_client().get("/auth/me", headers=headers).status_code in {200, 404}
    with available(ConvexDeployment, provider=provider) as deployment:
        adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
        with acting_as(Identity(SUBJECT, "authenticated", token=token)):
            viewer = adapter.execute_query("api.users.viewer")
        adapter.disconnect()
        assert viewer["subject"] == SUBJECT
        assert status(deployment, token[:-4] + "AAAA") == 401


def test_convex_believes_tokens_from_before_and_after_a_rotation_once_it_was_told(runner: FlaskCliRunner) -> None:
    bridge = Isthmus.of(runner.app)[AuthBridge]
    former, before = convex_provider(runner), bridge.generate_token(SUBJECT)
    output(runner, "rotate")
    told = convex_provider(runner)
    output(runner, "rotate", "--now")
    after = bridge.generate_token(SUBJECT)
    with available(ConvexDeployment, provider=former) as deployment:
        assert (status(deployment, before), status(deployment, after)) == (200, 401)
    with available(ConvexDeployment, provider=told) as deployment:
        assert (status(deployment, before), status(deployment, after)) == (200, 200)


def test_convex_is_told_the_keys_of_the_algorithm_that_it_is_told(tmp_path: Path) -> None:
    rings = {"instance_path": tmp_path, "local_db_path": tmp_path / "data.db", "jwt_issuer": "https://api.example/v1"}
    Isthmus.of(create_app(load_settings(None, **rings)))[AuthBridge].jwks()  # makes the first key
    runner = create_app(load_settings(None, **rings, jwt_algorithm="RS256")).test_cli_runner()
    output(runner, "rotate")
    result = runner.invoke(args=["auth", "convex-config"])
    provider = convex_provider(runner)
    keys = json.loads(base64.b64decode(provider.jwks.partition(",")[2]))["keys"]
    assert {provider.algorithm, *(key["alg"] for key in keys)} == {"ES256"}
    assert "after `flask auth rotate`" in result.stderr
    assert "CONVEX_JWT_JWKS=https://api.example/v1/.well-known/jwks.json" in result.stderr
    assert "next key uses RS256" in result.stderr


@pytest.mark.parametrize("runner", [{}, {"jwt_algorithm": "RS256"}], ids=["ES256", "RS256"], indirect=True)
def test_what_supabase_imports_signs_the_same_tokens(runner: FlaskCliRunner) -> None:
    key = jwt.PyJWK(json.loads(output(runner, "supabase-key")))
    bridge = Isthmus.of(runner.app)[AuthBridge]
    assert (key.key_id, key.algorithm_name) == (bridge.key.kid, bridge.key.algorithm)
    claims = bridge.verify(bridge.generate_token(SUBJECT, {}))
    token = jwt.encode(dict(claims), key.key, key.algorithm_name, headers={"kid": key.key_id})
    assert bridge.verify(token)["sub"] == SUBJECT


def test_supabase_imports_the_key_that_waits_before_it_signs(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["auth", "supabase-key", "--next"])
    assert (result.exit_code, "There is no next key" in result.output) == (1, True)
    output(runner, "rotate")
    bridge = Isthmus.of(runner.app)[AuthBridge]
    jwk = json.loads(output(runner, "supabase-key", "--next"))
    members = {"kty", "crv", "x", "y", "d", "kid", "alg", "use", "key_ops", "ext"}
    assert (jwk.keys(), jwk["alg"], jwk["key_ops"]) == (members, "ES256", ["sign", "verify"])
    assert bridge.ring.next is not None
    assert jwk["kid"] == bridge.ring.next.kid != json.loads(output(runner, "supabase-key"))["kid"]
    output(runner, "rotate", "--now")
    assert bridge.key.kid == jwk["kid"]


@pytest.mark.parametrize("runner", [{"jwt_secret": "s" * 40}], ids=["HS256"], indirect=True)
@pytest.mark.parametrize("command", ["convex-config", "supabase-key"])
def test_a_shared_secret_is_not_handed_out(runner: FlaskCliRunner, command: str) -> None:
    result = runner.invoke(args=["auth", command])
    assert result.exit_code == 1
    assert "set it to ES256 or RS256" in result.output
    assert "s" * 40 not in result.output

"""One token, made by the application, is believed by Flask and by a Convex deployment that was told of its key."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import jwt
import pytest
from flask.testing import FlaskCliRunner

from app import create_app
from config.settings import load_settings
from database.adapters.convex import ConvexAdapter
from database.core.context import Identity
from database.core.context import acting_as
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.process import ServerUnavailable
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


@pytest.mark.parametrize("runner", [{}, {"jwt_algorithm": "RS256"}], ids=["ES256", "RS256"], indirect=True)
def test_convex_believes_the_application(runner: FlaskCliRunner) -> None:
    lines = output(runner, "convex-config").splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    provider = JwtProvider(*[variables[f"CONVEX_JWT_{name}"] for name in ("ISSUER", "AUDIENCE", "JWKS", "ALGORITHM")])
    token = runner.app.extensions["isthmus_auth"].generate_token(SUBJECT, {"email": "ada@example.com"})
    headers = {"Authorization": f"Bearer {token}"}
    assert runner.app.test_client().get("/auth/me", headers=headers).status_code in {200, 404}
    try:
        deployment = ConvexDeployment(provider=provider)
    except ServerUnavailable as reason:
        pytest.skip(str(reason))
    with deployment:
        adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
        with acting_as(Identity(SUBJECT, "authenticated", token=token)):
            viewer = adapter.execute_query("api.users.viewer")
        adapter.disconnect()
        forged = token[:-4] + "AAAA"
        body = {"path": "users:viewer", "args": {}}
        bearer = {"Authorization": f"Bearer {forged}"}
        refused = httpx.post(f"{deployment.url}/api/query", json=body, headers=bearer, trust_env=False)
    assert viewer["subject"] == SUBJECT
    assert refused.status_code == 401


@pytest.mark.parametrize("runner", [{}, {"jwt_algorithm": "RS256"}], ids=["ES256", "RS256"], indirect=True)
def test_what_supabase_imports_signs_the_same_tokens(runner: FlaskCliRunner) -> None:
    key = jwt.PyJWK(json.loads(output(runner, "supabase-key")))
    bridge = runner.app.extensions["isthmus_auth"]
    assert (key.key_id, key.algorithm_name) == (bridge.key.kid, bridge.key.algorithm)
    claims = bridge.verify(bridge.generate_token(SUBJECT, {}))
    token = jwt.encode(dict(claims), key.key, key.algorithm_name, headers={"kid": key.key_id})
    assert bridge.verify(token)["sub"] == SUBJECT


@pytest.mark.parametrize("runner", [{"jwt_secret": "s" * 40}], ids=["HS256"], indirect=True)
@pytest.mark.parametrize("command", ["convex-config", "supabase-key"])
def test_a_shared_secret_is_not_handed_out(runner: FlaskCliRunner, command: str) -> None:
    result = runner.invoke(args=["auth", command])
    assert result.exit_code == 1
    assert "set it to ES256 or RS256" in result.output
    assert "s" * 40 not in result.output

"""A plain Flask app on a Convex deployment that accepts its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.flask_convex import FlaskConvexIntegration
from tests.integration.flask_convex.support import Config
from tests.integration.flask_convex.support import add_views
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import TokenSigner


@pytest.fixture(autouse=True)
def _own_environment(own_environment: None) -> None:
    """For every test."""


@pytest.fixture
def key_file(token_signer: TokenSigner, tmp_path: Path) -> Path:
    """The key of the tokens that the deployment accepts."""
    return token_signer.write_key(tmp_path / "jwt.pem")


@pytest.fixture
def config(empty_deployment: ConvexDeployment, key_file: Path, token_signer: TokenSigner) -> Config:
    return {
        "convex_url": empty_deployment.url,
        "convex_key": empty_deployment.deploy_key,
        "jwt_private_key_file": key_file,
        "jwt_issuer": token_signer.provider.issuer,
        "retry_count": 0,
    }


@pytest.fixture
def app() -> Flask:
    return Flask("plain")


@pytest.fixture
def flask_convex(app: Flask, config: Config) -> Iterator[FlaskConvexIntegration]:
    """The integration of the app, which has views that use it."""
    integration = FlaskConvexIntegration(app, config)
    add_views(app, integration)
    yield integration
    integration.get_convex_adapter().disconnect()


@pytest.fixture
def client(app: Flask, flask_convex: FlaskConvexIntegration) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def token(flask_convex: FlaskConvexIntegration) -> str:
    """A token of one user."""
    return flask_convex.get_auth_bridge().generate_token("ada", {"email": "ada@example.org"})

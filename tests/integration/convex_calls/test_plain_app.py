"""The same in a Flask app that has nothing but the integration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue

from api.flask_convex import FlaskConvexIntegration
from api.flask_convex import init_flask_convex
from tests.integration.convex_calls.support import Shop
from tests.servers.tokens import TokenSigner


@pytest.fixture
def app() -> Flask:
    return Flask("shop")


@pytest.fixture
def flask_convex(
    own_environment: None, app: Flask, shop: Shop, token_signer: TokenSigner, tmp_path: Path
) -> Iterator[FlaskConvexIntegration]:
    config = {
        "convex_url": shop.deployment.url,
        "convex_key": shop.deployment.deploy_key,
        "jwt_private_key_file": token_signer.write_key(tmp_path / "jwt.pem"),
        "jwt_issuer": token_signer.provider.issuer,
    }
    integration = init_flask_convex(app, config)
    yield integration
    integration.get_convex_adapter().disconnect()


def test_a_function_runs_as_the_caller_with_the_commit(
    app: Flask, shop: Shop, flask_convex: FlaskConvexIntegration
) -> None:
    @app.post("/orders")
    def order() -> ResponseReturnValue:
        with flask_convex.transaction():
            made = flask_convex.execute_query("orders:create", {"item": "cup", "amount": 2})
        try:
            with flask_convex.transaction():
                flask_convex.execute_query("orders:create", {"item": "bowl", "amount": 2})
                raise LookupError
        except LookupError:
            pass
        return {"made": made}, 201

    token = flask_convex.get_auth_bridge().generate_token("ada")
    answer = app.test_client().post("/orders", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 201
    assert answer.get_json()["made"]["amount"] == 4.0
    assert shop.orders() == [("cup", 2)]
    assert shop.entries() == ["ada ordered cup"]
    assert shop.commits() == 1

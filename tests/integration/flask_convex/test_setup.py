"""How apps get the integration, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask

from api.flask_convex import FlaskConvexIntegration
from api.flask_convex import init_flask_convex
from auth import middleware
from auth.bridge import AuthBridge
from config.settings import ConfigurationError
from database import flask_scope
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.extension import Isthmus
from tests.integration.flask_convex.support import Config
from tests.integration.flask_convex.support import add_views
from tests.integration.flask_convex.support import bearer
from tests.integration.flask_convex.support import get
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import TokenSigner

SECRET = "a secret of no less than thirty-two bytes"


@pytest.fixture
def two_apps(config: Config) -> Iterator[tuple[FlaskConvexIntegration, Flask, Flask]]:
    """One integration of two apps with issuers of their own."""
    integration = FlaskConvexIntegration()
    apps = Flask("one"), Flask("other")
    integration.init_app(apps[0], config)
    integration.init_app(apps[1], {**config, "jwt_issuer": "https://other.example"})
    for app in apps:
        add_views(app, integration)
    with ExitStack() as connections:
        for app in apps:
            with app.app_context():
                connections.callback(integration.get_convex_adapter().disconnect)
        yield integration, *apps


def test_the_environment_configures(
    monkeypatch: pytest.MonkeyPatch, config: Config, empty_deployment: ConvexDeployment
) -> None:
    monkeypatch.setenv("CONVEX_URL", empty_deployment.url)
    monkeypatch.setenv("CONVEX_DEPLOYMENT_KEY", empty_deployment.deploy_key)
    monkeypatch.setenv("CONVEX_TIMEOUT", "7")
    monkeypatch.setenv("JWT_PRIVATE_KEY_FILE", str(config["jwt_private_key_file"]))
    monkeypatch.setenv("JWT_ISSUER", config["jwt_issuer"])
    monkeypatch.setenv("JWT_EXPIRY_SECONDS", "86400")
    monkeypatch.setenv("REQUEST_TIMEOUT", "12")
    app = Flask("plain")
    flask_convex = init_flask_convex(app)
    add_views(app, flask_convex)
    bridge = flask_convex.get_auth_bridge()
    assert get(app.test_client(), "/viewer", bridge.generate_token("ada"))["subject"] == "ada"
    assert bridge.expiry == 86400
    assert flask_convex.get_convex_adapter().settings.timeout == 7
    assert app.config["REQUEST_TIMEOUT"] == 12
    flask_convex.get_convex_adapter().disconnect()


def test_every_key_has_its_effect_and_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEX_URL", "http://elsewhere.example")
    monkeypatch.setenv("CONVEX_RETRY_COUNT", "9")
    flask_convex = init_flask_convex(
        Flask("plain"),
        {
            "convex_url": "http://127.0.0.1:1",
            "convex_key": "key",
            "timeout": 1.5,
            "retry_count": 0,
            "circuit_breaker_threshold": 2,
            "circuit_breaker_timeout": 3,
            "jwt_secret": SECRET,
            "jwt_algorithm": "HS256",
            "jwt_expiry": 60,
            "jwt_issuer": "https://issuer.example",
            "jwt_audience": "somebody",
        },
    )
    adapter, bridge = flask_convex.get_convex_adapter(), flask_convex.get_auth_bridge()
    assert adapter.get_connection_info()["url"] == "http://127.0.0.1:1"
    assert (adapter.settings.timeout, adapter.settings.retry_count) == (1.5, 0)
    assert (adapter.settings.circuit_breaker_threshold, adapter.settings.circuit_breaker_timeout) == (2, 3)
    assert (bridge.key.algorithm, bridge.expiry) == ("HS256", 60)
    assert (bridge.issuer, bridge.audience) == ("https://issuer.example", "somebody")


def test_an_unknown_key_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"convex_uri: .*; use keys from: convex_url") as refused:
        init_flask_convex(Flask("plain"), {"convex_uri": "http://127.0.0.1:1", "CONVEX_KEY": "very secret"})
    assert refused.value.problems.keys() == {"convex_uri", "CONVEX_KEY"}
    assert "very secret" not in str(refused.value)


def test_all_that_is_missing_or_wrong_is_named(config: Config) -> None:
    with pytest.raises(ConfigurationError) as refused:
        init_flask_convex(Flask("plain"))
    assert refused.value.problems.keys() == {"CONVEX_URL", "CONVEX_DEPLOYMENT_KEY"}
    with pytest.raises(ConfigurationError) as refused:
        init_flask_convex(Flask("plain"), {**config, "timeout": -1, "jwt_algorithm": "none"})
    assert refused.value.problems.keys() == {"CONVEX_TIMEOUT", "JWT_ALGORITHM"}


def test_a_refused_app_is_as_it_was(config: Config) -> None:
    app = Flask("plain")
    with pytest.raises(ConfigurationError):
        init_flask_convex(app, {**config, "timeout": -1})
    assert app.extensions == {}
    init_flask_convex(app, config)


def test_an_app_is_set_up_once(app: Flask, flask_convex: FlaskConvexIntegration, config: Config) -> None:
    with pytest.raises(RuntimeError, match="already"):
        flask_convex.init_app(app)
    with pytest.raises(RuntimeError, match="already"):
        FlaskConvexIntegration(app, config)
    with pytest.raises(RuntimeError, match="already"):
        init_flask_convex(app, config)
    assert init_flask_convex(app) is flask_convex


def test_an_app_with_a_data_layer_is_refused(config: Config) -> None:
    app = Flask("plain")
    flask_scope.init_app(app, ConnectionManager(adapters={"memory": MemoryAdapter()}))
    with pytest.raises(RuntimeError, match="already"):
        init_flask_convex(app, config)


def test_an_app_with_identity_is_refused(config: Config, token_signer: TokenSigner) -> None:
    app = Flask("plain")
    middleware.init_app(app, AuthBridge(key=token_signer.key))
    with pytest.raises(RuntimeError, match="already"):
        init_flask_convex(app, config)
    assert ConnectionManager not in Isthmus.found(app)


def test_each_app_has_its_own(two_apps: tuple[FlaskConvexIntegration, Flask, Flask]) -> None:
    integration, one, other = two_apps
    with one.app_context():
        adapter, token = integration.get_convex_adapter(), integration.get_auth_bridge().generate_token("ada")
    with other.app_context():
        assert integration.get_convex_adapter() is not adapter
    assert get(one.test_client(), "/viewer", token)["subject"] == "ada"
    assert other.test_client().get("/viewer", headers=bearer(token)).status_code == 401


def test_which_app_is_meant_must_be_clear(two_apps: tuple[FlaskConvexIntegration, Flask, Flask]) -> None:
    integration, *_ = two_apps
    with pytest.raises(RuntimeError, match="2 apps"):
        integration.get_convex_adapter()
    with Flask("third").app_context(), pytest.raises(RuntimeError, match="no Convex integration"):
        integration.get_convex_adapter()
    with pytest.raises(RuntimeError, match="0 apps"):
        FlaskConvexIntegration().get_convex_adapter()


def test_the_process_has_the_manager_of_the_first_app(flask_convex: FlaskConvexIntegration) -> None:
    assert ConnectionManager.get_instance().get_active_adapter() is flask_convex.get_convex_adapter()


def test_hs256_is_said_to_be_of_no_use_for_convex(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    settings = {name: value for name, value in config.items() if name != "jwt_private_key_file"}
    init_flask_convex(Flask("plain"), {**settings, "jwt_secret": SECRET})
    assert "Convex does not accept tokens signed with HS256" in caplog.text

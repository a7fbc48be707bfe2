"""Where others find the keys that verify our tokens: JSON Web Key Set and OpenID Connect discovery."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask import jsonify
from flask.typing import ResponseReturnValue

from auth.bridge import AuthBridge

JWKS_PATH = "/.well-known/jwks.json"
CONFIGURATION_PATH = "/.well-known/openid-configuration"

_CACHED = {"Cache-Control": "public, max-age=300"}


def init_app(app: Flask, bridge: AuthBridge) -> None:
    """Publish ``bridge``'s keys at the root, and below the issuer's path, where OpenID Connect looks for them."""
    keys, configuration = bridge.jwks(), _configuration(bridge)

    def jwks() -> ResponseReturnValue:
        return jsonify(keys), _CACHED

    def openid_configuration() -> ResponseReturnValue:
        return jsonify(configuration), _CACHED

    for prefix in sorted({"", urlsplit(bridge.issuer).path.rstrip("/")}):
        app.add_url_rule(prefix + JWKS_PATH, "jwks", jwks)
        app.add_url_rule(prefix + CONFIGURATION_PATH, "openid_configuration", openid_configuration)


def _configuration(bridge: AuthBridge) -> dict[str, Any]:
    return {
        "issuer": bridge.issuer,
        "jwks_uri": bridge.issuer.rstrip("/") + JWKS_PATH,
        "id_token_signing_alg_values_supported": [bridge.key.algorithm],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
    }

"""The routes of the public keys: JSON Web Key Set and OpenID Connect discovery."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask import jsonify
from flask.typing import ResponseReturnValue

from auth import AuthBridge
from auth import without_cookies
from auth.keys.export import JWKS_PATH
from auth.keys.export import jwks_url
from auth.keys.ring import JWKS_MAX_AGE

CONFIGURATION_PATH = "/.well-known/openid-configuration"

_CACHED = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE}"}


def init_app(app: Flask, bridge: AuthBridge) -> None:
    """Publish ``bridge``'s keys at the root and below the issuer's path, where OpenID Connect expects them.

    Both documents are ``application/json`` and contain the keys at the time of the request.
    """

    # An outdated cookie must not prevent access.
    @without_cookies
    def jwks() -> ResponseReturnValue:
        return jsonify(bridge.jwks()), _CACHED

    @without_cookies
    def openid_configuration() -> ResponseReturnValue:
        return jsonify(_configuration(bridge)), _CACHED

    for prefix in sorted({"", urlsplit(bridge.issuer).path.rstrip("/")}):
        app.add_url_rule(prefix + JWKS_PATH, "jwks", jwks)
        app.add_url_rule(prefix + CONFIGURATION_PATH, "openid_configuration", openid_configuration)


def _configuration(bridge: AuthBridge) -> dict[str, Any]:
    algorithms = sorted({jwk["alg"] for jwk in bridge.jwks()["keys"]})
    return {
        "issuer": bridge.issuer,
        "jwks_uri": jwks_url(bridge),
        "id_token_signing_alg_values_supported": algorithms or [bridge.key.algorithm],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
    }

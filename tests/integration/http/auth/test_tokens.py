"""Good tokens, and what is published to verify them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from tests.integration.http.auth.forging import Forge
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    site = make_site(tmp_path_factory.mktemp("tokens"))
    yield Forge.at(site)
    site.close()


def test_the_good_token_is_believed(forge: Forge) -> None:
    assert forge.site.get("/auth/me", bearer(forge.good)).status_code == 200
    assert forge.site.get("/auth/me", bearer(forge.signed())).status_code == 200
    assert_problem(forge.site.get("/auth/me"), 401, "unauthorized")


def test_a_deleted_account_is_not_there(forge: Forge) -> None:
    answer = forge.site.get("/auth/me", bearer(forge.signed(sub="018f5c3e-0000-7000-8000-000000000001")))
    assert_problem(answer, 404, "unknown-account")


def test_the_published_keys_verify_a_token(forge: Forge) -> None:
    answer = forge.site.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (key,) = jwt.PyJWKSet.from_dict(answer.json).keys
    claims = jwt.decode(forge.good, key, ["ES256"], audience="authenticated", issuer=forge.bridge.issuer)
    assert claims["role"] == "authenticated"
    assert "d" not in answer.json["keys"][0]


def test_the_configuration_leads_to_the_keys(forge: Forge) -> None:
    issuer = forge.bridge.issuer
    below = issuer.removeprefix("http://127.0.0.1:8000")
    document = forge.site.get(f"{below}/.well-known/openid-configuration").json
    assert document == forge.site.get("/.well-known/openid-configuration").json
    assert document["issuer"] == issuer
    keys = forge.site.get(document["jwks_uri"].removeprefix("http://127.0.0.1:8000")).json
    assert keys == forge.site.get("/.well-known/jwks.json").json


def test_a_shared_secret_is_not_published(tmp_path: Path) -> None:
    site = make_site(tmp_path, JWT_SECRET="0123456789abcdef0123456789abcdef-good")
    assert site.get("/.well-known/jwks.json").json == {"keys": []}
    assert site.get("/auth/me", site.register()).status_code == 200
    site.close()

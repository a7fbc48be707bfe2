from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.utils import base64url_encode

from auth.keys.export import data_uri
from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from tests.integration.convex_server.support import Caller
from tests.integration.convex_server.support import deploy_key
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import JwtProvider
from tests.servers.tokens import TokenSigner

SUBJECT = "018f5c3e-0000-7000-8000-000000000001"
MINUTE = 60
UNREADABLE = "InvalidAuthHeader"
STRANGER = "NoAuthProvider"


def signed(signer: TokenSigner, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with the signer's claims and another header, signed by the same key."""
    claims = jwt.decode(signer.token(SUBJECT, **claims), options={"verify_signature": False})
    return jwt.encode(claims, signer.key.private, signer.key.algorithm, headers=header)


def forged_algorithm(signer: TokenSigner, algorithm: str) -> str:
    """A token whose header names another algorithm than the one that it is properly signed with."""
    payload = signer.token(SUBJECT).split(".")[1].encode()
    header = base64url_encode(orjson.dumps({"alg": algorithm, "typ": "JWT", "kid": signer.key.kid}))
    method = jwt.get_algorithm_by_name(signer.key.algorithm)
    signature = method.sign(header + b"." + payload, method.prepare_key(signer.key.private))
    return b".".join((header, payload, base64url_encode(signature))).decode()


def rsa_key() -> SigningKey:
    return asymmetric_signing_key(generate_rsa_key(65537, 2048), "RS256")


GOOD: dict[str, Callable[[TokenSigner], str]] = {
    "plain": lambda signer: signer.token(SUBJECT),
    "one audience of several": lambda signer: signer.token(SUBJECT, aud=["other", "authenticated"]),
    "issuer with a slash": lambda signer: signer.token(SUBJECT, iss="https://api.example.test/auth/v1/"),
    "issuer without a scheme": lambda signer: signer.token(SUBJECT, iss="api.example.test/auth/v1"),
    "no issue time": lambda signer: signer.token(SUBJECT, iat=None),
    "expired within the leeway": lambda signer: signer.token(SUBJECT, exp=time.time() - 2),
    "signed by hand": lambda signer: forged_algorithm(signer, "ES256"),
    "no role": lambda signer: signer.token(SUBJECT, role=None),
}
# By what is wrong: the code of the refusal, and the token.
BAD: dict[str, tuple[str, Callable[[TokenSigner], str]]] = {
    "no key id": (UNREADABLE, signed),
    "unknown key id": (UNREADABLE, lambda signer: signed(signer, {"kid": "unknown"})),
    "a stranger's key": (UNREADABLE, lambda signer: signed(TokenSigner(), {"kid": signer.key.kid})),
    "RS256 with a key of its own": (UNREADABLE, lambda signer: TokenSigner(key=rsa_key()).token(SUBJECT)),
    "RS256 under the known key id": (
        UNREADABLE,
        lambda signer: signed(TokenSigner(key=rsa_key()), {"kid": signer.key.kid}),
    ),
    "another algorithm in the header": (UNREADABLE, lambda signer: forged_algorithm(signer, "RS256")),
    "HS256": (UNREADABLE, lambda signer: forged_algorithm(signer, "HS256")),
    "no issuer": (UNREADABLE, lambda signer: signer.token(SUBJECT, iss=None)),
    "another issuer": (STRANGER, lambda signer: signer.token(SUBJECT, iss="https://elsewhere.example.test/auth/v1")),
    "no audience": (STRANGER, lambda signer: signer.token(SUBJECT, aud=None)),
    "another audience": (STRANGER, lambda signer: signer.token(SUBJECT, aud="other")),
    "no subject": (UNREADABLE, lambda signer: signer.token(SUBJECT, sub=None)),
    "no expiry": (UNREADABLE, lambda signer: signer.token(SUBJECT, exp=None)),
    "expired": (UNREADABLE, lambda signer: signer.token(SUBJECT, exp=time.time() - MINUTE)),
    "issued in the future": (UNREADABLE, lambda signer: signer.token(SUBJECT, iat=time.time() + MINUTE)),
    "not valid yet": (UNREADABLE, lambda signer: signer.token(SUBJECT, nbf=time.time() + MINUTE)),
    "changed": (UNREADABLE, lambda signer: f"{signer.token(SUBJECT)[:-8]}AAAAAAAA"),
    "not a token": (UNREADABLE, lambda signer: "a.b.c"),
    "one part": (UNREADABLE, lambda signer: "token"),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_a_good_token_is_accepted(
    caller: Caller, token_signer: TokenSigner, make: Callable[[TokenSigner], str]
) -> None:
    viewer = caller.value("query", "deep/probe:viewer", f"Bearer {make(token_signer)}")["before"]
    assert viewer["subject"] == SUBJECT


@pytest.mark.parametrize(("code", "make"), BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(
    caller: Caller, token_signer: TokenSigner, code: str, make: Callable[[TokenSigner], str]
) -> None:
    response = caller.send("mutation", "notes:add", f"Bearer {make(token_signer)}", args={"text": "refused"})
    assert (response.status_code, response.json()["code"]) == (401, code)
    assert caller.notes() == []


def test_claims_are_flattened(caller: Caller, token_signer: TokenSigner) -> None:
    token = token_signer.token(SUBJECT, email="a@b.c", app_metadata={"role": "admin", "teams": ["x"]}, fva=[1, 2])
    assert caller.value("query", "deep/probe:viewer", f"Bearer {token}")["before"] == {
        "tokenIdentifier": f"https://api.example.test/auth/v1|{SUBJECT}",
        "issuer": "https://api.example.test/auth/v1",
        "subject": SUBJECT,
        "role": "authenticated",
        "email": "a@b.c",
        "app_metadata.role": "admin",
        "app_metadata.teams": ["x"],
    }


def test_a_token_does_not_open_internal_functions(caller: Caller, token_signer: TokenSigner) -> None:
    authorization = f"Bearer {token_signer.token(SUBJECT)}"
    assert "Could not find public function" in caller.error("mutation", "notes:addInternally", authorization, text="x")


def test_the_deploy_key_acts_as_a_user(caller: Caller) -> None:
    authorization = deploy_key(caller.deployment, {"issuer": "isthmus", "subject": "worker"})
    expected = {"issuer": "isthmus", "subject": "worker", "tokenIdentifier": "isthmus|worker"}
    assert caller.value("query", "deep/probe:viewer", authorization)["before"] == expected
    caller.value("mutation", "notes:addInternally", authorization, text="x")


def test_the_deploy_key_alone_is_nobody(caller: Caller) -> None:
    assert caller.value("query", "deep/probe:viewer", deploy_key(caller.deployment))["before"] is None


@pytest.mark.parametrize("key", ["dev:isthmus|only-for-development", "prod:isthmus|only-for-development"])
def test_the_type_of_a_deploy_key_is_not_compared(caller: Caller, key: str) -> None:
    assert caller.value("function", "notes:list", f"convex {key}") == []


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Convex dev:isthmus|wrong", 401),
        ("Convex dev:other|only-for-development", 401),
        ("Convex", 401),
        ("Convex dev:isthmus|only-for-development:not base64 JSON", 401),
        ("Basic dXNlcjpwYXNz", 400),
    ],
)
def test_another_authorization_is_refused(caller: Caller, authorization: str, status: int) -> None:
    assert caller.send("query", "notes:list", authorization).status_code == status


def test_rs256(caller: Caller) -> None:
    signer = TokenSigner(key=rsa_key())
    with ConvexDeployment(caller.deployment.functions, provider=signer.provider) as deployment:
        assert accepted(deployment, signer)
        assert not accepted(deployment, TokenSigner())


class _KeyServer:
    """Publishes a key set that can be replaced; counts how often it is asked."""

    def __init__(self, content_type: str) -> None:
        self.jwks: dict[str, Any] = {"keys": []}
        self.asked = 0
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.end_headers()
                self.wfile.write(orjson.dumps(publisher.jwks))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def publish() -> Iterator[Callable[[str], _KeyServer]]:
    servers: list[_KeyServer] = []

    def make(content_type: str) -> _KeyServer:
        servers.append(_KeyServer(content_type))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def accepted(deployment: ConvexDeployment, signer: TokenSigner) -> bool:
    """Whether a token is accepted; a refusal must be one for lack of authentication."""
    with httpx.Client(base_url=deployment.url, trust_env=False) as http:
        response = Caller(deployment, http).send("query", "notes:list", f"Bearer {signer.token(SUBJECT)}")
    assert response.status_code in {200, 401}
    return response.status_code == 200


def test_keys_by_url_are_fetched_when_needed_and_again_for_an_unknown_one(
    caller: Caller, publish: Callable[[str], _KeyServer]
) -> None:
    server, old, new = publish("application/json; charset=utf-8"), TokenSigner(), TokenSigner()
    server.jwks = old.key.jwks()
    provider = JwtProvider(old.provider.issuer, "authenticated", server.url)
    with ConvexDeployment(caller.deployment.functions, provider=provider) as deployment:
        assert server.asked == 0
        assert [accepted(deployment, old) for _ in range(3)] == [True] * 3
        assert server.asked == 1
        assert not accepted(deployment, new)
        server.jwks = new.key.jwks()
        assert accepted(deployment, new)


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonp"])
def test_keys_of_another_content_type_are_refused(
    caller: Caller, publish: Callable[[str], _KeyServer], content_type: str
) -> None:
    server, signer = publish(content_type), TokenSigner()
    server.jwks = signer.key.jwks()
    provider = JwtProvider(signer.provider.issuer, "authenticated", server.url)
    with ConvexDeployment(caller.deployment.functions, provider=provider) as deployment:
        assert not accepted(deployment, signer)


def test_keys_that_cannot_be_fetched_refuse_tokens_only(caller: Caller, publish: Callable[[str], _KeyServer]) -> None:
    server, signer = publish("application/json"), TokenSigner()
    server.close()
    provider = JwtProvider(signer.provider.issuer, "authenticated", server.url)
    with (
        ConvexDeployment(caller.deployment.functions, provider=provider) as deployment,
        httpx.Client(base_url=deployment.url, trust_env=False) as http,
    ):
        assert not accepted(deployment, signer)
        assert Caller(deployment, http).notes() == []


def test_a_key_meant_for_another_algorithm_is_refused(caller: Caller) -> None:
    signer = TokenSigner(key=asymmetric_signing_key(generate_ec_key(SECP256R1()), "ES256"))
    keys = [{**key, "alg": "ES384"} for key in signer.key.jwks()["keys"]]
    provider = JwtProvider(signer.provider.issuer, "authenticated", data_uri({"keys": keys}))
    with ConvexDeployment(caller.deployment.functions, provider=provider) as deployment:
        assert not accepted(deployment, signer)


def test_a_key_without_a_name_is_for_no_token(caller: Caller) -> None:
    signer = TokenSigner()
    keys = [{name: value for name, value in key.items() if name != "kid"} for key in signer.key.jwks()["keys"]]
    provider = JwtProvider(signer.provider.issuer, "authenticated", data_uri({"keys": keys}))
    nameless = TokenSigner(key=replace(signer.key, kid=None))
    with ConvexDeployment(caller.deployment.functions, provider=provider) as deployment:
        assert not accepted(deployment, nameless)

"""Access tokens of Supabase Auth as Bearer, over HTTP: whom they identify, and which ones are refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat

from auth.errors import InvalidToken
from auth.keys.signing import asymmetric_signing_key
from auth.sign_in.bearer_tokens import BearerTokens
from auth.sign_in.external_issuers import LEEWAY
from auth.sign_in.external_issuers import ExternalTokens
from auth.sign_in.jwks_cache import FRESH_SECONDS
from auth.sign_in.jwks_cache import IssuerKeys
from auth.verification import CACHE_SECONDS
from config.settings import ConfigurationError
from config.settings import load_settings
from tests.clocks import START
from tests.clocks import ManualClock
from tests.clocks import WallClock
from tests.integration.external_issuers.issuer import Issuer
from tests.integration.external_issuers.issuer import new_key
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site

ADA: Final = "0198c5d2-0000-4000-8000-00000000000a"
SECRET: Final = "the-legacy-jwt-secret-of-the-project-which-has-more-than-64-bytes-in-all"
CLAIMS: Final[dict[str, Any]] = {
    "aud": "authenticated",
    "role": "authenticated",
    "email_verified": None,
    "session_id": "0198c5d2-0000-4000-8000-00000000000f",
    "is_anonymous": False,
    "app_metadata": {"provider": "email", "providers": ["email"]},
    "user_metadata": {"role": "admin", "email_verified": True},
}
"""What Supabase Auth puts into a token, beside the standard claims."""


@pytest.fixture(scope="module")
def project() -> Iterator[Issuer]:
    """The project's Supabase Auth, which publishes its keys, one for ES256 and one for RS256."""
    with Issuer("/auth/v1") as issuer:
        issuer.keys.append(asymmetric_signing_key(generate_private_key(65537, 2048), "RS256"))
        yield issuer


def entries(project: Issuer, **changes: Any) -> str:
    """The project in ``AUTH_FOREIGN_ISSUERS``, while it moves from its legacy secret to keys."""
    known = {"issuer": project.name, "audience": "authenticated", "bearer": True, **changes}
    keys = {"name": "project", "jwks_url": f"{project.name}/keys", "algorithms": ["ES256", "RS256"]}
    return json.dumps([{**keys, **known}, {"name": "legacy", "secret": SECRET, "algorithms": ["HS256"], **known}])


@pytest.fixture(scope="module")
def site(project: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An application without accounts of its own."""
    folder = tmp_path_factory.mktemp("site")
    made = make_site(folder, AUTH_FOREIGN_ISSUERS=entries(project), AUTH_ACCOUNTS=False)
    yield made
    made.close()


def legacy(project: Issuer, secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """A token that the project signs with its legacy secret."""
    claims = {**jwt.decode(project.token(ADA, **CLAIMS), options={"verify_signature": False}), **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm)


def headers(project: Issuer, subject: str = ADA, **changes: Any) -> Headers:
    return bearer(project.token(subject, **{**CLAIMS, **changes}))


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "HS256"])
def test_its_user_is_the_caller(site: Site, project: Issuer, algorithm: str) -> None:
    key = {"ES256": project.keys[0], "RS256": project.keys[1]}.get(algorithm)
    token = legacy(project) if key is None else project.token(ADA, key, **CLAIMS)
    made = site.post("/api/notes", {"title": algorithm}, bearer(token))
    assert (made.status_code, made.json["owner_id"]) == (201, ADA)
    assert site.get(made.headers["Location"], headers(project)).json["title"] == algorithm
    assert_problem(site.get(made.headers["Location"], headers(project, "somebody-else")), 404)


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({"role": "admin"}, 204),
        ({"role": "user", "permissions": ["*"]}, 403),
        ({"role": ["admin"]}, 403),
        ({"role": {"admin": 1}, "permissions": 7}, 403),
        ("admin", 403),
        (None, 403),
    ],
)
def test_the_role_is_that_of_the_metadata_which_users_cannot_change(
    site: Site, project: Issuer, metadata: object, status: int
) -> None:
    caller = headers(project, app_metadata=metadata)
    made = site.post("/api/molecules", {"name": "Water"}, caller)
    assert made.status_code == 201
    assert site.call("DELETE", made.headers["Location"], headers=caller).status_code == status


def test_the_role_may_be_in_a_claim_of_its_own(project: Issuer, tmp_path: Path) -> None:
    site = make_site(tmp_path, AUTH_FOREIGN_ISSUERS=entries(project, role_claim="user_role"), AUTH_ACCOUNTS=False)
    made = site.post("/api/molecules", {"name": "Water"}, headers(project))
    place = made.headers["Location"]
    assert_problem(site.call("DELETE", place, headers=headers(project, app_metadata={"role": "admin"})), 403)
    assert site.call("DELETE", place, headers=headers(project, user_role="admin")).status_code == 204
    site.close()


def _signed_with_the_public_key(project: Issuer) -> str:
    """By hand, because PyJWT refuses to use a public key as a secret."""
    key = project.keys[1].public
    assert isinstance(key, RSAPublicKey)
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    scheme = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": project.keys[1].kid}).encode())
    message = b".".join([head, legacy(project).split(".")[1].encode()])
    return b".".join([message, jwt.utils.base64url_encode(scheme.sign(message, public))]).decode()


REFUSED: Final[dict[str, Callable[[Issuer], str]]] = {
    "expired": lambda p: p.token(ADA, **{**CLAIMS, "exp": int(time.time()) - 60}),
    "not valid yet": lambda p: p.token(ADA, **{**CLAIMS, "nbf": int(time.time()) + 600}),
    "of another project": lambda p: p.token(ADA, **{**CLAIMS, "iss": "https://other.supabase.co/auth/v1"}),
    "signed by another project": lambda p: p.token(ADA, new_key(), **CLAIMS),
    "by another project's secret": lambda p: legacy(p, "another-" + SECRET),
    "for another audience": lambda p: p.token(ADA, **{**CLAIMS, "aud": "others"}),
    "of the role anon": lambda p: p.token(ADA, **{**CLAIMS, "role": "anon"}),
    "of the service role": lambda p: p.token(ADA, **{**CLAIMS, "role": "service_role"}),
    "without a role": lambda p: p.token(ADA, **{**CLAIMS, "role": None}),
    "the anon key": lambda p: legacy(p, iss="supabase", role="anon", sub=None),
    "the service key": lambda p: legacy(p, iss="supabase", role="service_role", sub=None),
    "without a subject": lambda p: p.token(ADA, **{**CLAIMS, "sub": None}),
    "with an odd subject": lambda p: p.token(ADA, **{**CLAIMS, "sub": "a\0b"}),
    "with a long subject": lambda p: p.token(ADA, **{**CLAIMS, "sub": "x" * 256}),
    "without an end": lambda p: p.token(ADA, **{**CLAIMS, "exp": None}),
    "with an end that is text": lambda p: p.token(ADA, **{**CLAIMS, "exp": "99999999999"}),
    "unsigned": lambda p: legacy(p, "", "none"),
    "signed with the public key as a secret": _signed_with_the_public_key,
    "of an algorithm that is not declared": lambda p: legacy(p, algorithm="HS512"),
    "with a key in the header": lambda p: jwt.encode(
        jwt.decode(legacy(p), SECRET, ["HS256"], audience="authenticated"), SECRET, headers={"jwk": {"kty": "oct"}}
    ),
    "garbage": lambda p: "a.b.c",
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_tokens_are_refused(site: Site, project: Issuer, what: str) -> None:
    token = REFUSED[what](project)
    for answer in (site.get("/api/molecules", bearer(token)), site.post("/api/notes", {"title": "x"}, bearer(token))):
        assert_problem(answer, 401, "invalid-token")
        assert token not in answer.text
    # It is no better the second time, which a cache could answer.
    assert site.get("/api/molecules", bearer(token)).status_code == 401


def test_a_token_ends_with_its_time(project: Issuer) -> None:
    clock = WallClock()
    tokens = verifier(project, clock)
    token = project.token(ADA, **{**CLAIMS, "iat": int(START.timestamp()), "exp": int(START.timestamp()) + 1000})
    assert tokens.verify(token) is tokens.verify(token)
    clock.advance(1000 + LEEWAY - 1)
    assert tokens.verify(token) is not None
    clock.advance(2)
    with pytest.raises(InvalidToken, match="expired"):
        tokens.verify(token)


def test_a_token_ends_with_its_key(issuer: Issuer) -> None:
    clock, fetching = WallClock(), ManualClock()
    tokens = verifier(issuer, clock, fetching)
    token = issuer.token(ADA, **{**CLAIMS, "iat": int(START.timestamp()), "exp": int(START.timestamp()) + 9000})
    assert tokens.verify(token) is not None
    issuer.keys = [new_key()]
    fetching.advance(FRESH_SECONDS)
    clock.advance(CACHE_SECONDS)
    with pytest.raises(InvalidToken, match="unknown key"):
        tokens.verify(token)


def verifier(issuer: Issuer, clock: WallClock, fetching: ManualClock | None = None) -> BearerTokens:
    entry = issuer.entry(audience="authenticated", jwks_url=f"{issuer.name}/keys", bearer=True)
    (known,) = load_settings(None, AUTH_FOREIGN_ISSUERS=json.dumps([entry])).auth_foreign_issuers
    keys = IssuerKeys(known, clock=fetching or ManualClock())
    return BearerTokens(ExternalTokens([(known, keys)], "us"), now=clock)


def test_keys_that_cannot_be_fetched_are_no_verdict(tmp_path: Path) -> None:
    with Issuer("/auth/v1") as away:
        token = away.token(ADA, **CLAIMS)
        site = make_site(tmp_path, AUTH_FOREIGN_ISSUERS=entries(away))
    answer = site.get("/api/notes", bearer(token))
    assert_problem(answer, 503, "issuer-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    site.close()


@pytest.mark.parametrize("path", ["register", "login", "refresh", "logout", "password", "exchange"])
def test_without_accounts_there_is_no_way_to_sign_in(site: Site, project: Issuer, path: str) -> None:
    assert_problem(site.post(f"/auth/{path}", {}, headers(project)), 404)
    assert site.dump()["isthmus_users"] == []


def test_beside_accounts_both_kinds_of_callers_are_known(project: Issuer, tmp_path: Path) -> None:
    site = make_site(tmp_path, AUTH_FOREIGN_ISSUERS=entries(project))
    own, foreign = site.register("ada"), headers(project)
    for caller in (own, foreign):
        assert site.post("/api/notes", {"title": "x"}, caller).status_code == 201
        assert len(site.get("/api/notes", caller).json["data"]) == 1
    # The session in the token is none of ours.
    assert site.post("/auth/logout", {}, headers(project, sid="s-1")).status_code == 204
    assert site.get("/api/notes", foreign).status_code == 200
    assert_problem(site.get("/auth/me", foreign), 404, "unknown-account")
    site.close()


def test_without_the_setting_its_tokens_are_no_bearer(project: Issuer, tmp_path: Path) -> None:
    site = make_site(tmp_path, AUTH_FOREIGN_ISSUERS=entries(project, bearer=False))
    assert_problem(site.get("/api/notes", headers(project)), 401, "invalid-token")
    site.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bearer": False}, "AUTH_ACCOUNTS: must be true unless"),
        ({"bearer": False, "role_claim": "user_role"}, "role_claim needs bearer"),
        ({"role_claim": "user_metadata.role"}, "which users can change themselves"),
        ({"role_claim": "role"}, "not role, which is the database role"),
        ({"role_claim": "a..b"}, "names joined by dots"),
    ],
)
def test_settings_that_would_let_users_choose_their_role_are_refused(changes: dict[str, Any], reason: str) -> None:
    entry = {"name": "p", "issuer": "https://p.supabase.co/auth/v1", "audience": "authenticated", "bearer": True}
    issuers = json.dumps([{**entry, "algorithms": ["ES256"], **changes}])
    with pytest.raises(ConfigurationError, match=reason):
        load_settings(None, AUTH_FOREIGN_ISSUERS=issuers, AUTH_ACCOUNTS=False)


def test_the_application_itself_is_no_other_issuer(project: Issuer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="this application's JWT_ISSUER"):
        make_site(tmp_path, AUTH_FOREIGN_ISSUERS=entries(project), AUTH_ACCOUNTS=False, JWT_ISSUER=project.name)

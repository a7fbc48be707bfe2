"""Tokens that were forged, stolen or meant for something else, sent to every kind of route: nothing comes of them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.integration.http.auth.forging import Forge
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site

PAST = 1_000_000_000
FUTURE = 4_000_000_000

ATTACKS: dict[str, Callable[[Forge], str]] = {
    # No signature
    "alg none": lambda forge: forge.unsigned("none"),
    "alg None": lambda forge: forge.unsigned("None"),
    "alg NONE with a signature": lambda forge: forge.unsigned("NONE", "AAAA"),
    "alg empty": lambda forge: forge.unsigned("", "AAAA"),
    "signature cut off": lambda forge: forge.good.rpartition(".")[0] + ".",
    "signature cut short": lambda forge: forge.good[:-20],
    "signature of another token": lambda forge: (
        f"{forge.good.rpartition('.')[0]}.{forge.signed(jti='x').rpartition('.')[2]}"
    ),
    # Another algorithm
    "public key as a secret, PEM": lambda forge: forge.public_key_as_secret(Encoding.PEM),
    "public key as a secret, DER": lambda forge: forge.public_key_as_secret(Encoding.DER),
    "public key as a secret, named": lambda forge: forge.public_key_as_secret(Encoding.PEM, kid=forge.kid),
    "alg HS256": lambda forge: forge.signed({"alg": "HS256"}),
    "alg RS256": lambda forge: forge.signed({"alg": "RS256"}),
    "alg ES384": lambda forge: forge.signed({"alg": "ES384"}),
    "alg in small letters": lambda forge: forge.signed({"alg": "es256"}),
    "alg missing": lambda forge: forge.signed({"alg": None}),
    "alg is a list": lambda forge: forge.signed({"alg": ["ES256"]}),
    # Another key
    "a stranger's key under our name": lambda forge: forge.strangers(kid=forge.kid),
    "a stranger's key": lambda forge: forge.strangers(kid="other"),
    "kid is a path": lambda forge: forge.strangers(kid="../../../../dev/null"),
    "kid is SQL": lambda forge: forge.strangers(kid="' or '1'='1"),
    "kid missing": lambda forge: forge.signed({"kid": None}),
    "kid twice": lambda forge: forge.with_header(
        f'{{"alg":"ES256","typ":"JWT","kid":"{forge.kid}","kid":"{forge.kid}"}}'
    ),
    "kid twice, first another": lambda forge: forge.with_header(
        f'{{"alg":"ES256","typ":"JWT","kid":"other","kid":"{forge.kid}"}}'
    ),
    "kid is a number": lambda forge: forge.signed({"kid": 1}),
    "kid is a list": lambda forge: forge.signed({"kid": [forge.kid]}),
    "kid with a space": lambda forge: forge.signed({"kid": f"{forge.kid} "}),
    "jwk brought along": lambda forge: forge.strangers(kid=forge.kid, jwk={"kty": "EC"}),
    "jku": lambda forge: forge.strangers(kid=forge.kid, jku="http://127.0.0.1/keys"),
    "x5u": lambda forge: forge.strangers(kid=forge.kid, x5u="http://127.0.0.1/cert.pem"),
    "x5c": lambda forge: forge.strangers(kid=forge.kid, x5c=["MIIB"]),
    "jwk in a token of ours": lambda forge: forge.signed({"jwk": {"kty": "EC"}}),
    # Another kind of token
    "type refresh": lambda forge: forge.signed({"typ": "refresh"}),
    "type at+jwt": lambda forge: forge.signed({"typ": "at+jwt"}),
    "crit": lambda forge: forge.signed({"crit": ["b64"]}),
    "b64": lambda forge: forge.signed({"b64": False}),
    "zip": lambda forge: forge.signed({"zip": "DEF"}),
    "refresh token as access token": lambda forge: forge.refresh,
    # Claims
    "role raised under the old signature": lambda forge: forge.tampered('"role":"user"', '"role":"admin"'),
    "subject changed under the old signature": lambda forge: forge.tampered('"sub":"0', '"sub":"1'),
    "issuer elsewhere": lambda forge: forge.signed(iss="https://elsewhere.example"),
    "issuer with a slash": lambda forge: forge.signed(iss=f"{forge.bridge.issuer}/"),
    "issuer without its path": lambda forge: forge.signed(iss="http://127.0.0.1:8000"),
    "issuer in capitals": lambda forge: forge.signed(iss=forge.bridge.issuer.upper()),
    "issuer is a list": lambda forge: forge.signed(iss=[forge.bridge.issuer]),
    "audience of another": lambda forge: forge.signed(aud="other"),
    "audience empty": lambda forge: forge.signed(aud=[]),
    "iss missing": lambda forge: forge.signed(iss=None),
    "aud missing": lambda forge: forge.signed(aud=None),
    "sub missing": lambda forge: forge.signed(sub=None),
    "iat missing": lambda forge: forge.signed(iat=None),
    "exp missing": lambda forge: forge.signed(exp=None),
    "jti missing": lambda forge: forge.signed(jti=None),
    "sub empty": lambda forge: forge.signed(sub=""),
    "sub is a number": lambda forge: forge.signed(sub=1),
    "expired": lambda forge: forge.signed(iat=PAST, exp=PAST + 900),
    "exp is a text": lambda forge: forge.signed(exp=str(FUTURE)),
    "exp is no number": lambda forge: forge.raw('{"exp": NaN}'),
    "exp is true": lambda forge: forge.signed(exp=True),
    "issued in the future": lambda forge: forge.signed(iat=FUTURE, exp=FUTURE + 900),
    "not valid yet": lambda forge: forge.signed(nbf=FUTURE),
    "role service_role": lambda forge: forge.signed(role="service_role"),
    "role postgres": lambda forge: forge.signed(role="postgres"),
    "sid empty": lambda forge: forge.signed(sid=""),
    "sid is a list": lambda forge: forge.signed(sid=[forge.claims["sid"]]),
    "claims are a list": lambda forge: forge.raw("[]"),
    # No token at all
    "empty": lambda _: "",
    "dots": lambda _: "..",
    "oversize text": lambda _: "x" * 10_000,
    "oversize claims": lambda forge: forge.signed(padding="x" * 9_000),
    "deep claims": lambda forge: forge.raw("[" * 3_000),
    "letters of elsewhere": lambda _: "ü.ü.ü",
    "padding": lambda forge: f"{forge.good}=",
    "two tokens": lambda forge: f"{forge.good} {forge.good}",
    "two tokens with a comma": lambda forge: f"{forge.good},{forge.good}",
    "a fourth part": lambda forge: f"{forge.good}.{forge.good.rpartition('.')[2]}",
}


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    site = make_site(tmp_path_factory.mktemp("attacks"))
    yield Forge.at(site)
    site.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_forged_token_is_believed(forge: Forge, attack: str, caplog: pytest.LogCaptureFixture) -> None:
    token = ATTACKS[attack](forge)
    before = forge.site.dump()
    for method, path in (("GET", "/api/molecules"), ("POST", "/api/molecules"), ("GET", "/auth/me")):
        caplog.clear()
        with caplog.at_level("INFO"):
            answer = forge.site.call(method, path, {"name": "x"} if method == "POST" else None, bearer(token))
        assert_problem(answer, 401, "invalid-token")
        assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
        (line,) = [record.getMessage() for record in caplog.records if record.name == "api.http.problem"]
        assert line.startswith(f"refused {method} {path} from 127.0.0.1: Invalid token: ")
        assert_untold(token, caplog.text, answer.text, str(answer.headers))
    assert forge.site.dump() == before


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Token x", "bearer", "x" * 100_000])
def test_no_other_authorization_is_taken_for_nobody(forge: Forge, value: str) -> None:
    assert_problem(forge.site.get("/api/molecules", {"Authorization": value}), 401)


def test_there_are_enough_of_them() -> None:
    assert len(ATTACKS) >= 60


def test_a_path_makes_no_second_line_of_the_log(forge: Forge, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        forge.site.get("/api/x%0Arefused%20nobody", bearer("none"))
    (line,) = [record.getMessage() for record in caplog.records if record.name == "api.http.problem"]
    assert "\n" not in line


def assert_untold(secret: str, *texts: str) -> None:
    """Nothing says enough of a secret to go on with it."""
    for part in [part for part in secret.replace(",", ".").replace(" ", ".").split(".") if len(part) > 20]:
        for text in texts:
            assert part[:20] not in text

"""Another issuer: a real HTTP server that publishes its keys and signs tokens."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from threading import Thread
from typing import Any
from typing import Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from werkzeug import Request
from werkzeug import Response
from werkzeug.serving import make_server

from auth.keys.signing import SigningKey
from auth.keys.signing import asymmetric_signing_key
from auth.sign_in.jwks_cache import DISCOVERY_PATH

AUDIENCE = "us"
KEYS_PATH = "/keys"

Answer = Callable[[Request], Response]


def new_key() -> SigningKey:
    return asymmetric_signing_key(generate_private_key(SECP256R1()), "ES256")


class Issuer:
    """An OpenID Connect issuer on a port of 127.0.0.1, until the end of a ``with`` block.

    :param path: of its name, as Supabase has one.
    :ivar keys: those that it publishes; the first one signs.
    :ivar asked: how often each of its pages was asked for.
    :ivar pages: answers other than the proper ones, by path.
    """

    def __init__(self, path: str = "") -> None:
        self.keys = [new_key()]
        self.asked: Counter[str] = Counter()
        self.pages: dict[str, Answer] = {}
        self._path = path
        self._server = make_server("127.0.0.1", 0, Request.application(self._answer), threaded=True)
        self._thread = Thread(target=self._server.serve_forever, name="issuer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def name(self) -> str:
        """Its ``iss``."""
        return self.name_at(self.port)

    def name_at(self, port: int) -> str:
        """Its ``iss`` for those who reach it through a proxy at ``port``."""
        return f"http://127.0.0.1:{port}{self._path}"

    def entry(self, **changes: Any) -> dict[str, Any]:
        """What ``AUTH_FOREIGN_ISSUERS`` says of it."""
        return {"name": "other", "issuer": self.name, "audience": AUDIENCE, "algorithms": ["ES256"], **changes}

    def token(self, subject: str = "u-1", key: SigningKey | None = None, **changes: Any) -> str:
        """A token for its user ``subject``, whose address it has verified; a change to None takes a claim away."""
        now = int(time.time())
        claims = {
            "iss": self.name,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + 600,
            "email": f"{subject}@example.org",
            "email_verified": True,
        }
        members = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        signer = key or self.keys[0]
        return jwt.encode(members, signer.private, signer.algorithm, headers={"kid": signer.kid})

    def _answer(self, request: Request) -> Response:
        self.asked[request.path] += 1
        answer = self.pages.get(request.path, self.proper_answer)
        return answer(request)

    def proper_answer(self, request: Request) -> Response:
        """What a well-kept issuer says."""
        # By the name that it was asked by, as a proxy may be in between.
        name = f"http://{request.host}{self._path}"
        if request.path == self._path + DISCOVERY_PATH:
            return _json({"issuer": name, "jwks_uri": f"{name}{KEYS_PATH}"})
        if request.path == self._path + KEYS_PATH:
            return _json({"keys": [jwk for key in self.keys for jwk in key.jwks()["keys"]]})
        return Response(status=404)


def _json(document: object) -> Response:
    return Response(json.dumps(document), content_type="application/json")

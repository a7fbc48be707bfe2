"""The keys of a real issuer: its rotation, its outages, and answers that are not to be trusted."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from threading import Event
from threading import Thread
from typing import Any

import pytest
from werkzeug import Request
from werkzeug import Response

from auth.errors import IssuerUnavailable
from auth.sign_in import jwks_cache
from auth.sign_in.jwks_cache import DISCOVERY_PATH
from auth.sign_in.jwks_cache import MAX_BYTES
from auth.sign_in.jwks_cache import FetchFailed
from auth.sign_in.jwks_cache import IssuerKeys
from auth.sign_in.jwks_cache import fetch_document
from config.sign_in import ExternalIssuer
from tests.integration.external_issuers.conftest import MakeSite
from tests.integration.external_issuers.conftest import exchange
from tests.integration.external_issuers.issuer import KEYS_PATH
from tests.integration.external_issuers.issuer import Issuer
from tests.integration.external_issuers.issuer import new_key
from tests.integration.http.support import TIMEOUT
from tests.integration.http.support import assert_problem
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import CutAfter
from tests.servers.network.faults import Refuse
from tests.servers.network.proxy import FaultProxy


def test_a_rotation_at_the_issuer_is_followed_at_once(issuer: Issuer, site_for: MakeSite) -> None:
    site = site_for(issuer.entry())
    assert exchange(site, issuer.token("ada")).status_code == 200
    issuer.keys.insert(0, new_key())
    assert exchange(site, issuer.token("ada")).status_code == 200
    assert exchange(site, issuer.token("ada", key=issuer.keys[1])).status_code == 200
    assert issuer.asked == {DISCOVERY_PATH: 2, KEYS_PATH: 2}


def test_many_tokens_with_unknown_keys_are_two_questions(issuer: Issuer, site_for: MakeSite) -> None:
    site = site_for(issuer.entry())
    assert exchange(site, issuer.token("ada")).status_code == 200
    for _ in range(30):
        assert_problem(exchange(site, issuer.token("ada", key=new_key())), 401, "invalid-token")
    assert issuer.asked[KEYS_PATH] == 2
    assert exchange(site, issuer.token("ada")).status_code == 200


def test_where_the_settings_say_where_the_keys_are_nothing_is_discovered(issuer: Issuer, site_for: MakeSite) -> None:
    site = site_for(issuer.entry(jwks_url=issuer.name + KEYS_PATH))
    assert exchange(site, issuer.token("ada")).status_code == 200
    assert issuer.asked == {KEYS_PATH: 1}


def test_supabase_is_one_entry(site_for: MakeSite) -> None:
    with Issuer("/auth/v1") as supabase:
        entry = supabase.entry(audience="authenticated")
        claims: dict[str, Any] = {"aud": "authenticated", "role": "authenticated", "email_verified": None}
        # Its users can write this themselves, so that it verifies nothing.
        token = supabase.token("ada", user_metadata={"email_verified": True}, **claims)
        assert_problem(exchange(site_for(entry), token), 403, "email-not-verified")
        assert exchange(site_for({**entry, "confirms_email": True}), token).status_code == 200


@pytest.mark.parametrize("fault", [Refuse, lambda: CutAfter(20)], ids=["refused", "cut"])
def test_an_issuer_that_is_away_is_503_until_its_keys_are_known(
    issuer: Issuer, site_for: MakeSite, proxy: Callable[[int], FaultProxy], fault: Callable[[], Any]
) -> None:
    between = proxy(issuer.port)
    name = issuer.name_at(between.port)
    site = site_for(issuer.entry(issuer=name))
    with between.suffering(fault()):
        answer = exchange(site, issuer.token("ada", iss=name))
        assert_problem(answer, 503, "issuer-unavailable")
        assert answer.headers["Retry-After"] == "5"
    other = site_for(issuer.entry(issuer=name))
    assert exchange(other, issuer.token("ada", iss=name)).status_code == 200
    with between.suffering(fault()):
        assert exchange(other, issuer.token("ada", iss=name)).status_code == 200
        assert_problem(exchange(other, issuer.token("ada", key=new_key(), iss=name)), 401, "invalid-token")


def test_nobody_waits_long_for_a_silent_issuer(
    issuer: Issuer, proxy: Callable[[int], FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks_cache, "TIMEOUT", 0.2)
    between = proxy(issuer.port)
    with between.suffering(Blackhole()), pytest.raises(FetchFailed, match="response was not complete"):
        fetch_document(issuer.name_at(between.port) + KEYS_PATH)


def redirect(request: Request) -> Response:
    return Response(status=302, headers={"Location": f"http://{request.host}/elsewhere"})


def too_long(_: Request) -> Response:
    return Response(json.dumps({"keys": [], "more": "x" * MAX_BYTES}))


def endless(_: Request) -> Response:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b" " * 4096

    return Response(pieces())


def compressed(_: Request) -> Response:
    return Response(gzip.compress(b" " * 100 * MAX_BYTES), headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (redirect, "status 302"),
        (too_long, "more than"),
        (endless, "more than"),
        (compressed, "compressed"),
        (lambda _: Response(status=404), "status 404"),
        (lambda _: Response(b"{}", status=206), "status 206"),
    ],
)
def test_an_answer_that_is_not_to_be_trusted_is_none(
    issuer: Issuer, answer: Callable[[Request], Response], reason: str
) -> None:
    issuer.pages[KEYS_PATH] = answer
    with pytest.raises(FetchFailed, match=reason):
        fetch_document(issuer.name + KEYS_PATH)
    assert issuer.asked == {KEYS_PATH: 1}


def test_an_answer_that_trickles_is_given_up(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks_cache, "TIMEOUT", 0.2)
    given_up = Event()
    issuer.pages[KEYS_PATH] = lambda _: Response(b" " for _ in range(200) if not given_up.wait(0.05))
    with pytest.raises(FetchFailed, match="response was not complete"):
        fetch_document(issuer.name + KEYS_PATH)
    given_up.set()


@contextmanager
def trickling_head(pause: float) -> Iterator[tuple[int, Event]]:
    """A server that goes on sending lines of its answer's head: its port, and what is set when a client has come."""
    asked, stopped = Event(), Event()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError), listener.accept()[0] as client:
            asked.set()
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stopped.wait(pause):
                client.sendall(b"X-More: and more\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1], asked
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_head_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks_cache, "TIMEOUT", 0.3)
    with trickling_head(0.05) as (port, _), pytest.raises(FetchFailed, match="response was not complete"):
        fetch_document(f"http://127.0.0.1:{port}/jwks.json")


def test_discovery_and_keys_have_one_time_limit(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks_cache, "TIMEOUT", 1.0)
    over = Event()

    def late(request: Request) -> Response:
        # Each alone would come in time.
        over.wait(0.6)
        return issuer.proper_answer(request)

    issuer.pages.update({DISCOVERY_PATH: late, KEYS_PATH: late})
    keys = IssuerKeys(ExternalIssuer.model_validate(issuer.entry()))
    with pytest.raises(IssuerUnavailable):
        keys.key(issuer.keys[0].kid, "ES256")
    over.set()


def test_who_waits_for_a_fetch_waits_no_longer_than_it_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks_cache, "TIMEOUT", 0.1)
    fetching, go_on = Event(), Event()

    def stuck(*_: object) -> bytes:
        fetching.set()
        go_on.wait(TIMEOUT)
        raise FetchFailed("it was stuck")

    entry = {"name": "one", "issuer": "https://one.example", "audience": "us", "algorithms": ["ES256"]}
    keys = IssuerKeys(ExternalIssuer.model_validate(entry), stuck)

    def ask() -> None:
        with pytest.raises(IssuerUnavailable):
            keys.key("any", "ES256")

    first = Thread(target=ask)
    first.start()
    assert fetching.wait(TIMEOUT)
    ask()
    assert first.is_alive()
    go_on.set()
    first.join()

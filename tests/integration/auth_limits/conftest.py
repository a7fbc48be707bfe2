"""Applications with limits, and a Redis server to count for them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from auth.sign_in.accounts import Accounts
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.servers.process import ServerUnavailable
from tests.servers.redis import RedisServer

LimitedSite = Callable[..., Site]


@pytest.fixture
def limited_site(tmp_path: Path) -> Iterator[LimitedSite]:
    """Make an application with a hasher of passwords, and settings by name."""
    with ExitStack() as sites:

        def make(hasher: PasswordHasher, **settings: object) -> Site:
            site = make_site(tmp_path, **settings)
            sites.callback(site.close)
            site.app.extensions["isthmus_accounts"] = Accounts(site.manager, hasher)
            return site

        yield make


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for all tests of a module; empty it."""
    try:
        server = RedisServer()
    except ServerUnavailable as reason:
        pytest.skip(str(reason))
    with server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """A Redis server with nothing in it."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server

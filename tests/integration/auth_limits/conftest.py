"""Applications with limits, and a Redis server to count for them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http.support import Site
from tests.integration.http.support import making_sites
from tests.servers.available import available
from tests.servers.redis import RedisServer

LimitedSite = Callable[..., Site]


@pytest.fixture
def limited_site(tmp_path: Path) -> Iterator[LimitedSite]:
    """Make an application with a hasher of passwords, and settings by name."""
    with making_sites(tmp_path) as make:
        yield lambda hasher, **settings: make(**settings).hash_with(hasher)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for all tests of a module; empty it."""
    with available(RedisServer) as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """A Redis server with nothing in it."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server

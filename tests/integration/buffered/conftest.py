"""Every test runs on a Convex deployment and on a Supabase project, each behind a proxy."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import ExitStack

import pytest

from tests.integration.buffered.remote import Remote
from tests.integration.buffered.servers import Server
from tests.integration.buffered.servers import running_deployment
from tests.integration.buffered.servers import running_project
from tests.servers.network.proxy import FaultProxy


@pytest.fixture(scope="package", params=["convex", "supabase"])
def _server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _starting(request, tmp_path_factory) as server:
        yield server


@pytest.fixture
def remote(_server: Server, proxy: Callable[[int], FaultProxy]) -> Iterator[Remote]:
    """A backend with empty tables."""
    _server.clear()
    with ExitStack() as stack:
        yield Remote(_server, proxy(_server.port), stack)


def _starting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AbstractContextManager[Server]:
    if request.param == "convex":
        return running_deployment(tmp_path_factory.mktemp("convex"), request.getfixturevalue("token_signer"))
    return running_project(request.getfixturevalue("postgres_server"))

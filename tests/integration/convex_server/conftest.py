from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.convex_server.support import Caller
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import TokenSigner

FUNCTIONS = Path(__file__).parent / "functions"


@pytest.fixture(scope="session")
def _deployment(token_signer: TokenSigner) -> Iterator[ConvexDeployment]:
    with available(ConvexDeployment, FUNCTIONS, provider=token_signer.provider) as server:
        yield server


@pytest.fixture
def deployment(_deployment: ConvexDeployment) -> ConvexDeployment:
    """A deployment of the functions beside this file, without documents."""
    _deployment.reset()
    return _deployment


@pytest.fixture
def caller(deployment: ConvexDeployment) -> Iterator[Caller]:
    with httpx.Client(base_url=deployment.url, timeout=30, trust_env=False) as http:
        yield Caller(deployment, http)

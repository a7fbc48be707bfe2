"""Deployments with tables of the tests' own, and callers of every kind."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import acting
from tests.integration.convex_functions.support import deployed
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import TokenSigner


@pytest.fixture(scope="package")
def own_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConvexDeployment]:
    """The functions with the tables of these tests."""
    with available(ConvexDeployment, deployed(tmp_path_factory.mktemp("convex"))) as deployment:
        yield deployment


@pytest.fixture
def store(own_deployment: ConvexDeployment) -> Iterator[Functions]:
    """The functions on empty tables of the tests, called with the deploy key."""
    own_deployment.reset()
    functions = Functions(own_deployment.url, f"Convex {own_deployment.deploy_key}")
    yield functions
    functions.close()


@pytest.fixture
def as_caller(convex_deployment: ConvexDeployment) -> Iterator[Callable[[str | None], Functions]]:
    """The application's functions on empty tables, called with an ``Authorization``."""
    convex_deployment.reset()
    with ExitStack() as clients:

        def caller(authorization: str | None) -> Functions:
            functions = Functions(convex_deployment.url, authorization)
            clients.callback(functions.close)
            return functions

        yield caller


@pytest.fixture
def anyone(as_caller: Callable[[str | None], Functions]) -> Functions:
    """A caller without a token."""
    return as_caller(None)


@pytest.fixture
def user(as_caller: Callable[[str | None], Functions], token_signer: TokenSigner) -> Functions:
    """A signed-in user without a role of the application."""
    return as_caller(f"Bearer {token_signer.token('user-1')}")


@pytest.fixture
def admin(as_caller: Callable[[str | None], Functions], token_signer: TokenSigner) -> Functions:
    """A signed-in administrator."""
    return as_caller(f"Bearer {token_signer.token('admin-1', app_metadata={'role': 'admin'})}")


@pytest.fixture
def service(as_caller: Callable[[str | None], Functions], convex_deployment: ConvexDeployment) -> Functions:
    """The application's own server."""
    return as_caller(acting(convex_deployment.deploy_key, issuer="isthmus", subject="service"))

"""Another issuer, and the application that takes its tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.external_issuers.issuer import Issuer
from tests.integration.http.support import Site
from tests.integration.http.support import make_site

MakeSite = Callable[..., Site]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def site_for(tmp_path: Path) -> Iterator[MakeSite]:
    """Make the application with entries of ``AUTH_FOREIGN_ISSUERS``, and more settings by name."""
    with ExitStack() as sites:
        yield lambda *entries, **settings: _make(sites, tmp_path, entries, settings)


@pytest.fixture(scope="module")
def known_issuer() -> Iterator[Issuer]:
    """An issuer for all tests of a module, which leave it as it is."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def site(known_issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An application that takes the tokens of ``known_issuer``, for all tests of a module; each has its own users."""
    with ExitStack() as sites:
        yield _make(sites, tmp_path_factory.mktemp("site"), [known_issuer.entry()], {})


def exchange(site: Site, token: object) -> Any:
    return site.post("/auth/exchange", {"token": token})


def _make(sites: ExitStack, folder: Path, entries: Sequence[dict[str, Any]], settings: dict[str, Any]) -> Site:
    site = make_site(folder, AUTH_FOREIGN_ISSUERS=json.dumps(entries), **settings)
    sites.callback(site.close)
    return site

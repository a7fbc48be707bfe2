"""One application for the tests of a module, each of which has evaluations of its own, and callers of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.http.evaluated import PACKAGE
from tests.integration.http.support import CHEAP
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import make_site

PLACE = "/api/evaluations"

Create = Callable[..., Any]


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = make_site(tmp_path_factory.mktemp("site"), APPLICATION_PACKAGE=PACKAGE).hash_with(CHEAP)
    yield site
    site.close()


@pytest.fixture(scope="module")
def user(shared_site: Site) -> Headers:
    return shared_site.register()


@pytest.fixture(scope="module")
def admin(shared_site: Site) -> Headers:
    return shared_site.admin()


@pytest.fixture
def site(shared_site: Site, admin: Headers) -> Site:
    """The application without evaluations."""
    for one in shared_site.get(f"{PLACE}?limit=1000", admin).json["data"]:
        assert shared_site.call("DELETE", f"{PLACE}/{one['id']}", headers=admin).status_code == 204
    return shared_site


@pytest.fixture
def create(site: Site, user: Headers) -> Create:
    """Creates an evaluation that prints something, and returns the response."""

    def create(id: str, code: str = "print('Hello')", **more: Any) -> Any:  # noqa: A002  # as in bodies
        return site.post(PLACE, {"id": id, "code": code, **more}, user)

    return create

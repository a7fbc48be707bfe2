"""One application for the tests of a module, whose stores each of them finds empty, and callers of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from database.core.context import as_application
from tests.integration.http.support import CHEAP
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.migrated import migrated_sqlite

Put = Callable[..., Any]
PLACE = "/api/storage/default"


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    migrated_sqlite(folder / "isthmus.db")
    site = make_site(folder).hash_with(CHEAP)
    yield site
    site.close()


@pytest.fixture(scope="module")
def user(shared_site: Site) -> Headers:
    return shared_site.register()


@pytest.fixture
def sqlite_site(shared_site: Site) -> Site:
    with as_application():
        for store in shared_site.stores.values():
            store.clear()
    return shared_site


@pytest.fixture
def put(sqlite_site: Site, user: Headers) -> Put:
    """Puts JSON, or bytes with a media type; further arguments are headers, with hyphens for underscores."""

    def put(key: str, value: Any, **headers: str) -> Any:
        given = {**user, **{name.replace("_", "-"): text for name, text in headers.items()}}
        data = value
        if not isinstance(value, bytes):
            data, given["Content-Type"] = json.dumps(value), "application/json"
        return sqlite_site.app.test_client().put(f"{PLACE}/{key}", headers=given, data=data)

    return put

"""One application for the tests of a module, whose stores each of them finds empty, and callers of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import Final
from uuid import uuid4

import pytest

from database.core.context import as_application
from storage import S3Entries
from storage import StoreDeclaration
from storage import StoreSetup
from tests.integration.http.support import CHEAP
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.migrated import migrated_sqlite
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server

Put = Callable[..., Any]
PLACE = "/api/storage/default"
MOST: Final = 9 << 20
"""The largest value in bytes that the application with bodies in parts takes: more than one part of S3."""


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


@pytest.fixture(scope="package")
def shared_parts_site(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Site]:
    """An application with vectors in its default store, and with stores whose bodies are in parts."""

    def in_s3(_: StoreSetup) -> S3Entries:
        return S3Entries(BUCKET, f"http-{uuid4().hex}", endpoint=s3_server.url, timeout=20, **ACCESS)

    stores = {
        "default": StoreDeclaration(access="user", dimensions=3),
        "plain": StoreDeclaration(access="user"),
        "mine": StoreDeclaration(access="owner", dimensions=3),
        "parts": StoreDeclaration(access="user", backend=in_s3),
        "own": StoreDeclaration(access="owner", backend=in_s3),
        "shown": StoreDeclaration(access={"read": "user"}, backend=in_s3),
    }
    folder = tmp_path_factory.mktemp("parts")
    migrated_sqlite(folder / "isthmus.db")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.laboratory.config.stores.STORES", stores)
        site = make_site(folder, STORAGE_MAX_BODY_BYTES=MOST).hash_with(CHEAP)
    yield site
    site.close()


@pytest.fixture(scope="package")
def parts_user(shared_parts_site: Site) -> Headers:
    return shared_parts_site.register()


@pytest.fixture
def parts_site(shared_parts_site: Site) -> Site:
    with as_application():
        for store in shared_parts_site.stores.values():
            store.clear()
    return shared_parts_site

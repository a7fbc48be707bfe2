"""One application on four databases, which believe its tokens."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

import pytest

from auth.bridge import AuthBridge
from database.core.context import as_application
from database.extension import Isthmus
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi
from tests.servers.supabase_api import prepare
from tests.servers.tokens import TokenSigner

ADA: Final = "0198c5d2-0000-7000-8000-00000000000a"
BOB: Final = "0198c5d2-0000-7000-8000-00000000000b"
CHIEF: Final = "0198c5d2-0000-7000-8000-00000000000c"
ROLES: Final = {ADA: "user", BOB: "user", CHIEF: "admin"}

Settings = dict[str, object]


@dataclass(frozen=True, slots=True)
class Place:
    """The application on one database.

    :ivar project: what the database is behind, where it is a Supabase project's interface.
    """

    name: str
    site: Site
    project: SupabaseApi | None = None

    def token(self, subject: str) -> str:
        """A token that this application makes."""
        bridge: AuthBridge = Isthmus.of(self.site.app)[AuthBridge]
        return bridge.generate_token(subject, {"role": ROLES[subject]})

    def headers(self, subject: str) -> Headers:
        return bearer(self.token(subject))


@pytest.fixture(scope="package")
def key_settings(token_signer: TokenSigner, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The key whose tokens all of them believe but one: the small Supabase server knows HS256 alone."""
    path = token_signer.write_key(tmp_path_factory.mktemp("key") / "jwt.pem")
    return {"JWT_PRIVATE_KEY_FILE": path, "JWT_ISSUER": token_signer.provider.issuer}


@pytest.fixture(scope="package")
def project_database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """The database of a Supabase project, with the application's tables."""
    with postgres_server.database() as database:
        prepare(database)
        yield database


@pytest.fixture(scope="package")
def project(project_database: PostgresDatabase) -> Iterator[SupabaseApi]:
    """The HTTP interface of that project."""
    with available(SupabaseApi, project_database) as api:
        yield api


@contextmanager
def opened(name: str, folder: Path, settings: Settings, project: SupabaseApi | None = None) -> Iterator[Place]:
    """The application with these settings, and without any notes."""
    site = make_site(folder, **settings)
    everything = site.manager.adapter
    with as_application():
        for table in ("notes", "molecules"):
            everything.table(table).delete().is_null("id", False).execute()
    yield Place(name, site, project)
    site.close()


def _sqlite(_: pytest.FixtureRequest) -> tuple[Settings, SupabaseApi | None]:
    return {}, None


def _supabase_direct(request: pytest.FixtureRequest) -> tuple[Settings, SupabaseApi | None]:
    database = request.getfixturevalue("project_database")
    return {**supabase_settings(database), "DB_ADAPTER_ORDER": "supabase"}, None


def _convex(request: pytest.FixtureRequest) -> tuple[Settings, SupabaseApi | None]:
    deployment: ConvexDeployment = request.getfixturevalue("convex_deployment")
    deployment.reset()
    keys = {"CONVEX_URL": deployment.url, "CONVEX_DEPLOYMENT_KEY": deployment.deploy_key}
    return {**keys, "DB_ADAPTER_ORDER": "convex"}, None


def _supabase_http(request: pytest.FixtureRequest) -> tuple[Settings, SupabaseApi | None]:
    project: SupabaseApi = request.getfixturevalue("project")
    settings: dict[str, Any] = {
        "DB_ADAPTER_ORDER": "supabase",
        "SUPABASE_URL": project.url,
        "SUPABASE_KEY": project.service_key,
        "SUPABASE_ANON_KEY": project.anon_key,
        "JWT_ALGORITHM": "HS256",
        "JWT_SECRET": project.jwt_secret,
        "JWT_PRIVATE_KEY_FILE": "",
    }
    return settings, project


SETTINGS: Final[dict[str, Callable[[pytest.FixtureRequest], tuple[Settings, SupabaseApi | None]]]] = {
    "sqlite": _sqlite,
    "supabase_direct": _supabase_direct,
    "convex": _convex,
    "supabase_http": _supabase_http,
}


def place_on(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """The application on the database of that name."""
    key_settings: Settings = request.getfixturevalue("key_settings")
    settings, project = SETTINGS[name](request)
    with opened(name, folder, {**key_settings, **settings}, project) as place:
        yield place


@pytest.fixture(params=SETTINGS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The application on each of the databases."""
    yield from place_on(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "supabase_direct", "convex"])
def believing_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The application on each of the databases that believe the same key."""
    yield from place_on(request.param, request, tmp_path)


@pytest.fixture
def direct(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The application on a Supabase project's database."""
    yield from place_on("supabase_direct", request, tmp_path)


@pytest.fixture
def convex(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The application on a Convex deployment."""
    yield from place_on("convex", request, tmp_path)


@pytest.fixture
def over_http(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The application on a Supabase project's HTTP interface."""
    yield from place_on("supabase_http", request, tmp_path)

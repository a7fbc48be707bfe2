"""The application under test, and callers of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from argon2 import PasswordHasher
from flask import Flask

from api.operations import auto_migration
from app import create_app
from auth.sign_in.accounts import Accounts
from config.settings import load_settings
from database.connection_manager import ConnectionManager
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.operations import Select
from database.extension import Isthmus
from storage import Stores
from tests.servers.postgres import PostgresDatabase

PASSWORD = "correct horse battery staple"
TIMEOUT = 30.0  # seconds that only a broken part needs
PROBLEM = "application/problem+json"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Real argon2id, with the least work it allows: the tests ask what is hashed, not how slowly."""

IMPATIENT = {
    # Longer than the call that finds the database silent, so that time is left to ask the next one.
    "REQUEST_TIMEOUT": 10,
    "SUPABASE_DB_TIMEOUT": 0.5,
    "SUPABASE_DB_RETRY_COUNT": 0,
    "DB_FAILBACK_AFTER": 0,
}
"""Settings with which a Supabase project's database that is away is soon given up, and soon taken up again."""

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Site:
    """An application with its databases."""

    app: Flask

    @property
    def manager(self) -> ConnectionManager:
        manager: ConnectionManager = Isthmus.of(self.app).manager
        return manager

    @property
    def stores(self) -> Stores:
        return Isthmus.of(self.app)[Stores]

    def call(self, method: str, path: str, json: Any = None, headers: Headers | None = None, **more: Any) -> Any:
        """Send one request, as a client of its own."""
        return self.app.test_client().open(path, method=method, json=json, headers=headers, **more)

    def get(self, path: str, headers: Headers | None = None, **more: Any) -> Any:
        return self.call("GET", path, headers=headers, **more)

    def post(self, path: str, json: Any, headers: Headers | None = None, **more: Any) -> Any:
        return self.call("POST", path, json, headers, **more)

    def register(self, name: str = "user") -> Headers:
        """A new account; the headers of its requests."""
        answer = self.post("/auth/register", {"email": f"{name}@example.org", "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return bearer(answer.json["access_token"])

    def login(self, name: str = "user") -> Headers:
        answer = self.post("/auth/login", {"email": f"{name}@example.org", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return bearer(answer.json["access_token"])

    def grant(self, name: str, role: str) -> None:
        """Give an account a role, on the command line."""
        result = self.app.test_cli_runner().invoke(args=["auth", "grant", f"{name}@example.org", role])
        assert result.exit_code == 0, result.output

    def admin(self) -> Headers:
        """A new account with the role ``admin``; the headers of its requests."""
        self.register("admin")
        self.grant("admin", "admin")
        return self.login("admin")

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Everything in the active database."""
        adapter = self.manager.adapter
        with acting_as(SERVICE):
            return {table.name: adapter.run_alone(Select(table.name)).rows for table in adapter.schema}

    def names(self) -> list[str]:
        """The names of all molecules, sorted."""
        return [row["name"] for row in self.get("/api/molecules?select=name&order=name&limit=1000").json["data"]]

    def hash_with(self, hasher: PasswordHasher) -> Site:
        """Hash passwords another way from now on; the same site."""
        Isthmus.of(self.app)[Accounts] = Accounts(self.manager, hasher)
        return self

    def close(self) -> None:
        self.stores.close()
        self.manager.disconnect()
        ConnectionManager.set_instance(None)


MakeSite = Callable[..., Site]


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def make_site(folder: Path, **settings: object) -> Site:
    """An application with a SQLite file in ``folder``, unless the settings say otherwise."""
    defaults = {
        "ENVIRONMENT": "testing",
        "INSTANCE_PATH": folder,
        "LOCAL_DB_PATH": folder / "isthmus.db",
        "LOCAL_DB_SYNCHRONOUS": "normal",
        "PURGE_INTERVAL": 0,
    }
    app = create_app(load_settings(None, **{**defaults, **settings}))
    auto_migration.start(app)
    return Site(app)


@contextmanager
def making_sites(folder: Path, **settings: object) -> Iterator[MakeSite]:
    """Make applications with these settings and more; they are closed at the end of the block."""
    with ExitStack() as sites:

        def make(**more: object) -> Site:
            site = make_site(folder, **{**settings, **more})
            sites.callback(site.close)
            return site

        yield make


def supabase_settings(database: PostgresDatabase) -> dict[str, object]:
    """Settings for a Supabase project's database before the local one."""
    return {
        "DB_ADAPTER_ORDER": "supabase,local",
        "SUPABASE_DB_HOST": database.host,
        "SUPABASE_DB_PORT": database.port,
        "SUPABASE_DB_USER": database.user,
        "SUPABASE_DB_PASSWORD": database.password,
        "SUPABASE_DB_NAME": database.database,
    }


def assert_problem(answer: Any, status: int, name: str | None = None) -> dict[str, Any]:
    """Check the form of an error; its members.

    :param name: the end of its type; ``about:blank`` is not looked at.
    """
    assert answer.status_code == status, answer.text
    assert answer.content_type == PROBLEM
    problem: dict[str, Any] = answer.json
    assert problem["status"] == status
    assert problem["title"]
    assert problem["instance"].startswith("urn:uuid:")
    assert "Traceback" not in answer.text
    if name is not None:
        assert problem["type"] == f"urn:isthmus:problem:{name}"
    return problem


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for the condition itself, as long as only a broken part needs."""
    end = monotonic() + TIMEOUT
    while not condition():
        assert monotonic() < end, otherwise
        Event().wait(0.02)

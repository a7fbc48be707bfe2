"""The HTTP interface of a Supabase project for the tests and, run as a program, for development.

It is Supabase's own small server on a real PostgreSQL database, with what it answers unlike the large one mended.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from socket import create_connection
from typing import Any
from typing import Final

import jwt

from database.backends.postgres import PostgresAdapter
from database.schema.migrations import runner
from tests.servers.node import FOLDER
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.processes.node_server import NodeServer
from tests.servers.processes.node_server import announce
from tests.servers.processes.node_server import run_in_foreground
from tests.servers.processes.server import TIMEOUT

ANON_KEY: Final = "sb_publishable_isthmus_only-for-development"
SERVICE_KEY: Final = "sb_secret_isthmus_only-for-development"
JWT_SECRET: Final = "isthmus-only-for-development-32-bytes-or-more"
DEV_PORT: Final = 54321

_ROLES: Final = FOLDER / "supabase" / "roles.sql"
_MAIN: Final = FOLDER / "supabase" / "main.mjs"
_PROJECT: Final = FOLDER / "supabase" / "project.sql"
# The server makes it anew, and for ids that are a uuid. One that is so already may have policies that use it.
_REPLACED: Final = """
do $$ begin
    if exists (select from pg_proc where oid = to_regproc('auth.uid') and prorettype = 'text'::regtype) then
        drop function auth.uid();
    end if;
end $$
"""


class SupabaseApi(NodeServer):
    """A project's HTTP interface; the database stays as it is when it ends.

    :param database: one with Supabase's roles. Only the schema public is served.
    :param max_rows: the most rows of one answer, as in a new project.
    :ivar anon_key: the publishable key.
    :ivar service_key: the secret key.
    :ivar jwt_secret: signs tokens of users, by HS256.
    """

    title = "the project"

    def __init__(self, database: PostgresDatabase, *, port: int | None = None, max_rows: int = 1000) -> None:
        super().__init__(port)
        self.database = database
        self.max_rows = max_rows
        self.anon_key = ANON_KEY
        self.service_key = SERVICE_KEY
        self.jwt_secret = JWT_SECRET

    def user_token(self, subject: str, **claims: Any) -> str:
        """An access token that is good for a quarter of an hour; a claim of None is left out.

        :param subject: the user's id, a UUID for policies that use ``auth.uid()``.
        """
        now = int(time.time())
        standard = {"aud": "authenticated", "role": "authenticated", "sub": subject, "iat": now, "exp": now + 900}
        payload = {name: value for name, value in {**standard, **claims}.items() if value is not None}
        return jwt.encode(payload, self.jwt_secret, "HS256")

    def start(self) -> None:
        """Start it, also after it was stopped, and wait until it answers.

        :raises ServerFailed: it ended instead, or did not answer in half a minute.
        """
        self.database.execute(_REPLACED)
        super().start()
        self.database.execute(_PROJECT.read_text())

    def reload(self) -> None:
        """Have it look at the database's tables and functions, and wait until it has.

        ``notify pgrst, 'reload schema'`` does the same and does not wait.
        """
        request = urllib.request.Request(f"{self.url}/__reload", method="POST")  # noqa: S310  # our own address
        urllib.request.urlopen(request, timeout=TIMEOUT).close()  # noqa: S310

    def _arguments(self) -> list[str]:
        return [str(_MAIN), str(self._settings())]

    def _is_ready(self) -> bool:
        with suppress(ConnectionRefusedError), create_connection(("127.0.0.1", self.port), timeout=TIMEOUT):
            return True
        return False

    def _settings(self) -> Path:
        """Write the server's settings; they have passwords, and nobody else may enter the folder."""
        path = self._folder / "settings.json"
        keys = {"anonKey": self.anon_key, "serviceKey": self.service_key, "jwtSecret": self.jwt_secret}
        settings = {"databaseUrl": self.database.url, "port": self.port, "maxRows": self.max_rows, **keys}
        path.write_text(json.dumps(settings))
        return path


def serve() -> None:
    """Serve a project with the application's tables in the foreground until an interrupt."""
    port = int(os.environ.get("SUPABASE_DEV_PORT", DEV_PORT))
    with PostgresServer() as server, server.database() as database:
        prepare(database)
        with SupabaseApi(database, port=port) as api:
            sys.stderr.write("SUPABASE_DB_... choose the direct connection instead of SUPABASE_URL.\n")
            announce("A Supabase project", _settings_for(api))
            api.wait()


def add_roles(database: PostgresDatabase) -> None:
    """Add the roles of a Supabase project."""
    database.execute(_ROLES.read_text())


def prepare(database: PostgresDatabase) -> None:
    """Make it a project's database with the application's tables."""
    add_roles(database)
    adapter = PostgresAdapter(asdict(database))
    runner.upgrade(adapter)
    adapter.disconnect()


def _settings_for(api: SupabaseApi) -> dict[str, str]:
    """What the application is configured with, for either way to the project."""
    database = api.database
    return {
        "SUPABASE_URL": api.url,
        "SUPABASE_KEY": api.service_key,
        "SUPABASE_ANON_KEY": api.anon_key,
        "JWT_ALGORITHM": "HS256",
        "JWT_SECRET": api.jwt_secret,
        "SUPABASE_DB_HOST": database.host,
        "SUPABASE_DB_PORT": str(database.port),
        "SUPABASE_DB_USER": database.user,
        "SUPABASE_DB_PASSWORD": database.password,
        "SUPABASE_DB_NAME": database.database,
    }


if __name__ == "__main__":
    sys.exit(run_in_foreground(serve))

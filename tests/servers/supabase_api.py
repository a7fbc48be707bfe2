"""The HTTP interface of a Supabase project for the tests and, run as a program, for development.

It is Supabase's own small server on a real PostgreSQL database, with what it answers unlike the large one mended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from socket import create_connection
from typing import Any
from typing import Final

import jwt
import psycopg
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_delay
from tenacity import wait_fixed

from database.adapters.postgres import PostgresAdapter
from database.migrations import runner
from tests.servers import process
from tests.servers.node import FOLDER
from tests.servers.node import installed_node
from tests.servers.node import installed_packages
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.process import Account
from tests.servers.process import ServerFailed
from tests.servers.process import ServerUnavailable
from tests.servers.server import Server

ANON_KEY: Final = "sb_publishable_isthmus_only-for-development"
SERVICE_KEY: Final = "sb_secret_isthmus_only-for-development"
JWT_SECRET: Final = "isthmus-only-for-development-32-bytes-or-more"
DEV_PORT: Final = 54321

ROLES: Final = FOLDER / "supabase_roles.sql"
_MAIN: Final = FOLDER / "supabase" / "main.mjs"
_PROJECT: Final = FOLDER / "supabase" / "project.sql"
# The server makes it anew, and for ids that are a uuid.
_REPLACED: Final = "drop function if exists auth.uid()"
_TIMEOUT: Final = 30.0  # seconds; a start takes half of one
_LOG_TAIL: Final = 4_000  # characters


class SupabaseApi(Server):
    """A project's HTTP interface on a port of 127.0.0.1, until the end of a ``with`` block.

    Start it in a thread that outlives it: it is shut down when that thread ends.

    :param database: one with Supabase's roles. Only the schema public is served.
    :param port: a free one by default.
    :param max_rows: the most rows of one answer, as in a new project.
    :ivar anon_key: the publishable key.
    :ivar service_key: the secret key.
    :ivar jwt_secret: signs tokens of users, by HS256.
    :raises ServerUnavailable: Node.js or the npm packages are not installed.
    """

    def __init__(self, database: PostgresDatabase, *, port: int | None = None, max_rows: int = 1000) -> None:
        installed_packages()
        self.database = database
        self.port = port or free_port()
        self.max_rows = max_rows
        self.anon_key = ANON_KEY
        self.service_key = SERVICE_KEY
        self.jwt_secret = JWT_SECRET
        self._process: subprocess.Popen[bytes] | None = None
        self._folders = ExitStack()
        self._folder = Path(self._folders.enter_context(tempfile.TemporaryDirectory(prefix="isthmus-supabase-")))

    @property
    def url(self) -> str:
        """The project's URL."""
        return f"http://127.0.0.1:{self.port}"

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
        self._execute(_REPLACED)
        # The packages lie in a folder that another user may not be allowed to enter.
        self._process = Account().spawn([installed_node().binary, str(_MAIN), str(self._settings())], self._log)
        attempts = Retrying(
            retry=retry_if_exception_type(ConnectionRefusedError),
            wait=wait_fixed(0.02),
            stop=stop_after_delay(_TIMEOUT),
            reraise=True,
        )
        try:
            attempts(self._knock, self._process)
        except ConnectionRefusedError as error:
            raise ServerFailed(f"the project does not answer: {self.log()}") from error
        self._execute(_PROJECT.read_text())

    def stop(self) -> None:
        """End it; the database stays as it is."""
        if self._process is not None:
            process.kill(self._process)

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._folders.close()

    def wait(self) -> None:
        """Wait until it ends by itself. :raises ServerFailed: it ended with an error."""
        if self._process is not None and self._process.wait():
            raise ServerFailed(f"the project ended: {self.log()}")

    def reload(self) -> None:
        """Have it look at the database's tables and functions, and wait until it has.

        ``notify pgrst, 'reload schema'`` does the same and does not wait.
        """
        request = urllib.request.Request(f"{self.url}/__reload", method="POST")  # noqa: S310  # our own address
        urllib.request.urlopen(request, timeout=_TIMEOUT).close()  # noqa: S310

    def log(self) -> str:
        """The end of what it has written."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _settings(self) -> Path:
        """Write the server's settings; they have passwords, and nobody else may enter the folder."""
        path = self._folder / "settings.json"
        keys = {"anonKey": self.anon_key, "serviceKey": self.service_key, "jwtSecret": self.jwt_secret}
        settings = {"databaseUrl": self.database.url, "port": self.port, "maxRows": self.max_rows, **keys}
        path.write_text(json.dumps(settings))
        return path

    def _knock(self, server: subprocess.Popen[bytes]) -> None:
        if server.poll() is not None:
            raise ServerFailed(f"the project ended: {self.log()}")
        create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT).close()

    def _execute(self, statements: str) -> None:
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            connection.execute(statements.encode())


def serve(port: int) -> None:
    """Serve a project with the application's tables in the foreground until an interrupt.

    The settings for the application are written to the standard output.
    """
    with PostgresServer() as server, server.database() as database:
        _prepare(database)
        with SupabaseApi(database, port=port) as api:
            sys.stderr.write("A Supabase project for development; its data is lost when it ends (Ctrl-C).\n")
            sys.stderr.write("SUPABASE_DB_... choose the direct connection instead of SUPABASE_URL.\n")
            sys.stdout.writelines(f"{name}={value}\n" for name, value in _settings_for(api).items())
            sys.stdout.flush()
            api.wait()


def _prepare(database: PostgresDatabase) -> None:
    """Make a project's database with the application's tables."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(ROLES.read_bytes())
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


def main() -> int:
    """``make supabase-dev``; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve(int(os.environ.get("SUPABASE_DEV_PORT", DEV_PORT)))
    except KeyboardInterrupt:
        return 0
    except (ServerFailed, ServerUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

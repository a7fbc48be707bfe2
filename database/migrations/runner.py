"""Migrations run on adapters: what a database has, what it lacks, and bringing it up to date."""

from __future__ import annotations

from argparse import Namespace
from functools import cache
from pathlib import Path
from threading import Lock

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from alembic.script import ScriptDirectory

from config.tables import metadata
from database.adapters.base import DatabaseAdapter
from database.adapters.engine import connected
from database.adapters.engine import has_engine
from database.core.context import as_application
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import RequestError
from database.core.operations import Sql
from database.migrations import comparison
from database.migrations import row_security
from database.migrations.capture import install as capture
from database.migrations.made import tables_made
from database.migrations.supabase import functions

_RECORDED = Sql(f"select version_num from {comparison.VERSION_TABLE}")  # noqa: S608  # a constant
_LOCK = sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(b"isthmus")))

_running = Lock()
"""Alembic keeps the environment that it runs in a module: one at a time in a process."""


class UnknownRevision(RequestError):
    """The database was upgraded by a newer version of the application than this one."""


def current(adapter: DatabaseAdapter) -> str | None:
    """The revision that the database has; None for an empty one, and for backends without SQL tables.

    One query through the adapter, unless the database does not tell.
    """
    if not has_engine(adapter):
        return None
    try:
        with as_application():
            recorded = adapter.run_alone(_RECORDED).first
    except (InvalidQuery, PermissionDenied):
        # No such table, or not for the application's role to read: the configured user knows.
        with connected(adapter, writes=False) as connection:
            return _context(connection).get_current_revision()
    return str(recorded["version_num"]) if recorded else None


def pending(adapter: DatabaseAdapter) -> list[str]:
    """The revisions that the database lacks, oldest first.

    :raises UnknownRevision: if it has one that is not known here.
    """
    return _missing(current(adapter)) if has_engine(adapter) else []


def upgrade(adapter: DatabaseAdapter, *, always: bool = False) -> list[str]:
    """Bring the database up to date in one transaction; the revisions this call has applied.

    Of several processes one does the work, and the others wait for it.

    :param always: make the access rules, Supabase's functions and the log of changes anew even if no revision is
        missing.
    :raises UnknownRevision: if the database has a revision that is not known here.
    :raises OutcomeUnknown: if the answer was lost; upgrading again is safe.
    :raises DataError: if the database cannot be reached or refuses; nothing was applied then.
    """
    if not has_engine(adapter) or not (pending(adapter) or always):
        return []
    with _running, connected(adapter, writes=True) as connection:
        _serialise(connection)
        missing = _missing(_context(connection).get_current_revision())
        command.upgrade(_config(connection), "head")
        row_security.apply(connection, metadata, tables_made(scripts()))
        functions.apply(connection)
        capture.apply(connection, metadata)
    return missing


def check(adapter: DatabaseAdapter) -> list[str]:
    """Where the database is not as declared: tables, access rules, Supabase's functions, the log; a line each."""
    if not has_engine(adapter):
        return []
    with connected(adapter, writes=False) as connection:
        rules = row_security.differences(connection, metadata, tables_made(scripts()))
        rules += functions.differences(connection)
        return comparison.differences(connection) + rules + capture.differences(connection, metadata)


def revise(adapter: DatabaseAdapter, message: str, folder: Path | None = None) -> Path:
    """Write the next migration, from what an up-to-date database lacks; to be read and corrected by hand.

    :param folder: where to write it, for anywhere else than beside the others.
    """
    with _running, connected(adapter, writes=False) as connection:
        config = _config(connection)
        if folder is not None:
            config.set_main_option("path_separator", "newline")
            locations = (Path(__file__).parent / "versions", folder)
            config.set_main_option("version_locations", "\n".join(map(str, locations)).replace("%", "%%"))
        number = f"{len(_revisions()) + 1:04}"
        location = str(folder) if folder is not None else None
        script = command.revision(config, message, autogenerate=True, rev_id=number, version_path=location)
    assert isinstance(script, Script)
    return Path(script.path)


def scripts() -> list[Script]:
    """All migrations, oldest first."""
    return list(reversed(list(ScriptDirectory.from_config(_config(None)).walk_revisions())))


def _missing(revision: str | None) -> list[str]:
    known = _revisions()
    if revision is None:
        return list(known)
    if revision not in known:
        raise UnknownRevision(f"the database has revision {revision!r}, which this version does not know")
    return list(known[known.index(revision) + 1 :])


@cache
def _revisions() -> tuple[str, ...]:
    """All revisions, oldest first."""
    return tuple(script.revision for script in scripts())


def _config(connection: sa.Connection | None) -> Config:
    config = Config(cmd_opts=Namespace(quiet=True), attributes={"connection": connection})
    config.set_main_option("script_location", "database:migrations")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _context(connection: sa.Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts=comparison.OPTIONS)


def _serialise(connection: sa.Connection) -> None:
    """Wait for other processes. On SQLite the transaction has the write lock from its beginning."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)

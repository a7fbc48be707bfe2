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
from database.adapters.engine import bare
from database.adapters.engine import connected
from database.adapters.engine import has_engine
from database.adapters.engine import is_there
from database.core.context import as_application
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import RequestError
from database.core.operations import Sql
from database.migrations import comparison
from database.migrations import row_security
from database.migrations.capture import install as capture
from database.migrations.failures import explained
from database.migrations.made import tables_made
from database.migrations.style import in_style
from database.migrations.supabase import functions

_RECORDED = Sql(f"select version_num from {comparison.VERSION_TABLE}")  # noqa: S608  # a constant
_LOCK = sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(b"isthmus")))

_LONGEST_MESSAGE = 100

_running = Lock()
"""Alembic keeps the environment that it runs in a module: one at a time in a process."""


class UnknownRevision(RequestError):
    """There is no such revision here: a wrong name, or a database that a newer version of the application upgraded."""


def current(adapter: DatabaseAdapter) -> str | None:
    """The revision that the database has; None for an empty one, and for backends without SQL tables.

    One query through the adapter, unless the database does not tell. A file that does not exist is not made.
    """
    if not (has_engine(adapter) and is_there(adapter)):
        return None
    try:
        with as_application():
            recorded = bare(adapter).run_alone(_RECORDED).first
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


def upgrade(adapter: DatabaseAdapter, revision: str = "head", *, always: bool = False) -> list[str]:
    """Bring the database up to date in one transaction; the revisions this call has applied.

    Of several processes one does the work, and the others wait for it. Access rules and the log of changes are made
    for the declared tables that are there then; :func:`database.migrations.presence.missing` names the others.

    :param revision: the last one to apply.
    :param always: make the access rules, Supabase's functions and the log of changes anew even if no revision is
        missing.
    :raises UnknownRevision: if the database has a revision that is not known here, or ``revision`` is none.
    :raises TableInTheWay: if the database has a table that a migration makes.
    :raises MigrationFailed: if the database refuses a migration.
    :raises OutcomeUnknown: if the answer was lost; upgrading again is safe.
    :raises DataError: if the database cannot be reached; nothing was applied in all these cases.
    """
    target = _known(revision)
    if not has_engine(adapter) or not (_up_to(pending(adapter), target) or always):
        return []
    with _running, connected(adapter, writes=True) as connection:
        _serialise(connection)
        missing = _up_to(_missing(_context(connection).get_current_revision()), target)
        if missing:
            row_security.lift(connection)
            config = _config(connection)
            with explained(bare(adapter), missing, config.attributes["done"]):
                command.upgrade(config, target)
        _make_state(connection)
    return missing


def downgrade(adapter: DatabaseAdapter, revision: str = "-1") -> list[str]:
    """Undo migrations in one transaction, with the tables and columns that they made; the revisions undone.

    :param revision: the one to go back to: its name, ``base`` for none, or ``-1`` for the one before the present.
    :raises UnknownRevision: if there is no such revision, the database does not have it, or has one that is not known
        here.
    :raises DataError: as :func:`upgrade`.
    """
    with _running, connected(adapter, writes=True) as connection:
        _serialise(connection)
        recorded = _context(connection).get_current_revision()
        undone = _above(_applied(recorded), revision)
        if undone:
            row_security.lift(connection)
            config = _config(connection)
            with explained(bare(adapter), undone, config.attributes["done"]):
                command.downgrade(config, _before(undone[-1]) or "base")
            _make_state(connection)
    return undone


def stamp(adapter: DatabaseAdapter, revision: str) -> tuple[str | None, str | None]:
    """Record that the database has a revision, and run nothing; the revision that was recorded before, and the new one.

    :param revision: its name, ``head`` for the newest, ``base`` for none.
    :raises UnknownRevision: if there is no such revision.
    :raises DataError: as :func:`upgrade`.
    """
    target = None if revision == "base" else _known(revision)
    with _running, connected(adapter, writes=True) as connection:
        _serialise(connection)
        before = _context(connection).get_current_revision()
        # Also from a revision that is not known here: this is the way out.
        command.stamp(_config(connection), target or "base", purge=True)
        row_security.protect_record(connection)
    return before, target


def check(adapter: DatabaseAdapter) -> list[str]:
    """Where the database is not as declared: tables, access rules, Supabase's functions, the log; a line each."""
    if not has_engine(adapter):
        return []
    if not is_there(adapter):
        return ["the file does not exist"]
    with connected(adapter, writes=False) as connection:
        rules = row_security.differences(connection, metadata, tables_made(scripts()))
        rules += functions.differences(connection)
        return comparison.differences(connection) + rules + capture.differences(connection, metadata)


def revise(adapter: DatabaseAdapter, message: str, folder: Path | None = None) -> Path:
    """Write the next migration, from what the database lacks once it is up to date; to be read before it runs anywhere.

    The database is brought up to date first.

    :param message: what the migration does, on one line.
    :param folder: where to write it, for anywhere else than beside the others.
    :raises ValueError: for a message of another form.
    :raises CannotBeWritten: if it would not run on rows that are there; says why, for each column.
    :raises DataError: as :func:`upgrade`.
    """
    if not 0 < len(message) <= _LONGEST_MESSAGE or not message.isprintable() or set(message) & set('\\"'):
        limits = f"at most {_LONGEST_MESSAGE} characters, without quotation marks and backslashes"
        raise ValueError(f"the message is one line of {limits}")
    upgrade(adapter)
    with _running, connected(adapter, writes=False) as connection:
        config = _config(connection)
        if folder is not None:
            config.set_main_option("path_separator", "newline")
            locations = (Path(__file__).parent / "versions", folder)
            config.set_main_option("version_locations", "\n".join(map(str, locations)).replace("%", "%%"))
        number = f"{len(_revisions()) + 1:04}"
        location = str(folder) if folder is not None else None
        script = command.revision(config, message.rstrip("."), autogenerate=True, rev_id=number, version_path=location)
    assert isinstance(script, Script)
    in_style(Path(script.path))
    return Path(script.path)


def scripts() -> list[Script]:
    """All migrations, oldest first."""
    return list(reversed(list(ScriptDirectory.from_config(_config(None)).walk_revisions())))


def _make_state(connection: sa.Connection) -> None:
    """What is not history, for the tables that are there now."""
    row_security.apply(connection, metadata, tables_made(scripts()))
    functions.apply(connection)
    capture.apply(connection, metadata)


def _known(revision: str) -> str:
    """A revision's own name. :raises UnknownRevision: if there is none of that name."""
    known = _revisions()
    if revision != "head" and revision not in known:
        raise UnknownRevision(f"there is no revision {revision!r}; there are {', '.join(known)}")
    return known[-1] if revision == "head" else revision


def _up_to(revisions: list[str], last: str) -> list[str]:
    known = _revisions()
    return [revision for revision in revisions if known.index(revision) <= known.index(last)]


def _applied(recorded: str | None) -> list[str]:
    missing = _missing(recorded)
    return [revision for revision in _revisions() if revision not in missing]


def _above(applied: list[str], revision: str) -> list[str]:
    """Those of the applied revisions that come after one, newest first."""
    if revision == "-1":
        return applied[-1:]
    if revision == "base":
        return applied[::-1]
    if _known(revision) not in applied:
        has = applied[-1] if applied else "none"
        raise UnknownRevision(f"the database does not have the revision {revision!r}; it has {has}")
    return applied[applied.index(revision) + 1 :][::-1]


def _before(revision: str) -> str | None:
    place = _revisions().index(revision)
    return _revisions()[place - 1] if place else None


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
    config = Config(cmd_opts=Namespace(quiet=True), attributes={"connection": connection, "done": []})
    config.set_main_option("script_location", "database:migrations")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _context(connection: sa.Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts=comparison.OPTIONS)


def _serialise(connection: sa.Connection) -> None:
    """Wait for other processes. On SQLite the transaction has the write lock from its beginning."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)

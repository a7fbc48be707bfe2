"""Migrations run on adapters: what a database has, what it lacks, and bringing it up to date."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.core.clock import utc_now
from database.core.context import as_application
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Sql
from database.schema.migrations import released
from database.schema.migrations import row_security
from database.schema.migrations.capture import install as capture
from database.schema.migrations.failures import explained
from database.schema.migrations.history import History
from database.schema.migrations.history import config
from database.schema.migrations.history import history
from database.schema.migrations.revisions import comparison
from database.schema.migrations.revisions.made import tables_made
from database.schema.migrations.revisions.style import in_style
from database.schema.migrations.supabase import functions
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import connected
from database.schema.sqlalchemy_engine import has_engine
from database.schema.sqlalchemy_engine import is_there

_RECORDED = Sql(f"select version_num from {comparison.VERSION_TABLE}")  # noqa: S608  # a constant
_LOCK = sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(b"isthmus")))

_LONGEST_MESSAGE = 100


class _Alembic:
    """Alembic keeps the environment that it runs in a module: one at a time in a process."""

    def __init__(self) -> None:
        self._build()
        rebuild_after_fork(self, _Alembic._build)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child, in which no migration goes on."""
        self.turn = Lock()


_alembic = _Alembic()


def current(adapter: DatabaseAdapter) -> list[str]:
    """The last revision of Isthmus and the last one of the application that the database has, if it has any.

    One query through the adapter, unless the database does not tell. A file that does not exist is not made.
    """
    if not (has_engine(adapter) and is_there(adapter)):
        return []
    try:
        with as_application():
            return sorted(str(row["version_num"]) for row in bare(adapter).run_alone(_RECORDED).rows)
    except (InvalidQuery, PermissionDenied):
        # No such table, or not for the application's role to read: the configured user knows.
        with connected(adapter, writes=False) as connection:
            return _recorded(connection)


def pending(adapter: DatabaseAdapter) -> list[str]:
    """The revisions that the database lacks, oldest first, those of Isthmus before those of the application.

    :raises UnknownRevision: if it has one that is not known here.
    :raises ForkedHistory: if there are migrations that go on from the same one.
    """
    return _history(adapter).missing(current(adapter)) if has_engine(adapter) else []


def upgrade(adapter: DatabaseAdapter, revision: str = "head", *, always: bool = False) -> list[str]:
    """Bring the database up to date in one transaction; the revisions this call has applied.

    Of several processes one does the work, and the others wait for it. Access rules and the log of changes are made
    for the declared tables that are there then; :func:`database.schema.migrations.presence.missing` names the others.

    :param revision: the last one to apply; one of the application's comes after all of Isthmus.
    :param always: make the access rules, Supabase's functions and the log of changes anew even if no revision is
        missing.
    :raises UnknownRevision: if the database has a revision that is not known here, or ``revision`` is none.
    :raises ForkedHistory: if there are migrations that go on from the same one.
    :raises TableInTheWay: if the database has a table that a migration makes.
    :raises MigrationFailed: if the database refuses a migration.
    :raises OutcomeUnknown: if the answer was lost; upgrading again is safe.
    :raises DataError: if the database cannot be reached; nothing was applied in all these cases.
    """
    known = _history(adapter)
    target = known.known(revision)
    if not has_engine(adapter) or not (known.up_to(pending(adapter), target) or always):
        return []
    with _adopted(adapter) as (connection, former, recorded):
        missing = known.up_to(known.missing(recorded), target)
        _run(connection, adapter, missing, up=True)
        _make_state(connection, adapter, former)
    return missing


def downgrade(adapter: DatabaseAdapter, revision: str = "-1") -> list[str]:
    """Undo migrations in one transaction, with the tables and columns that they made; the revisions undone.

    :param revision: the one to go back to, which undoes those after it in its branch; ``base`` for none of any branch,
        or ``-1`` for the one before the last, which is the application's if it has any.
    :raises UnknownRevision: if there is no such revision, the database does not have it, or has one that is not known
        here.
    :raises DataError: as :func:`upgrade`.
    """
    known = _history(adapter)
    with _adopted(adapter) as (connection, former, recorded):
        undone = known.above(known.applied(recorded), revision)
        _run(connection, adapter, undone, up=False)
        if undone:
            _make_state(connection, adapter, former)
    return undone


def stamp(adapter: DatabaseAdapter, revision: str) -> tuple[list[str], list[str]]:
    """Record that the database has a revision, and run nothing; what was recorded before, and what is recorded now.

    :param revision: its name, which leaves the other branch as it is; ``head`` for the newest ones, ``base`` for none.
    :raises UnknownRevision: if there is no such revision.
    :raises DataError: as :func:`upgrade`.
    """
    known = _history(adapter)
    if revision != "base":
        known.known(revision)
    with _alembic.turn, connected(adapter, writes=True) as connection:
        _serialise(connection)
        before = _recorded(connection)
        after = [] if revision == "base" else known.stamped(before, revision)
        # Also from a revision that is not known here: this is the way out.
        command.stamp(_config(connection, adapter), after or "base", purge=True)
        row_security.protect_record(connection)
    return before, after


def check(adapter: DatabaseAdapter) -> list[str]:
    """Where the database is not as declared: tables, access rules, Supabase's functions, the log; a line each."""
    if not has_engine(adapter):
        return []
    if not is_there(adapter):
        return ["the file does not exist"]
    declared, made = _declared(adapter), tables_made(scripts(adapter))
    with connected(adapter, writes=False) as connection:
        made |= released.released(connection, _history(adapter).all_released())
        rules = row_security.differences(connection, declared, made)
        rules += functions.differences(connection)
        tables = comparison.differences(connection, internal_tables.metadata, bare(adapter).schema.metadata)
        return tables + rules + capture.differences(connection, declared)


def revise(adapter: DatabaseAdapter, message: str) -> Path:
    """Write the application's next migration, from what the database lacks once it is up to date; to be read before it
    runs anywhere.

    The database is brought up to date first. The name of the migration is the time, so that no other has it.

    :param message: what the migration does, on one line.
    :raises ValueError: for a message of another form, and for an adapter whose tables have no folder of migrations.
    :raises CannotBeWritten: if it would not run on rows that are there; says why, for each column.
    :raises DataError: as :func:`upgrade`.
    """
    if not 0 < len(message) <= _LONGEST_MESSAGE or not message.isprintable() or set(message) & set('\\"'):
        limits = f"at most {_LONGEST_MESSAGE} characters, without quotation marks and backslashes"
        raise ValueError(f"the message is one line of {limits}")
    migrations = bare(adapter).schema.migrations
    if migrations is None:
        raise ValueError("the tables that this database was given have no folder of migrations")
    folder = migrations / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    upgrade(adapter)
    former = _history(adapter).application
    with _alembic.turn, connected(adapter, writes=False) as connection:
        script = command.revision(
            _config(connection, adapter),
            message.rstrip("."),
            autogenerate=True,
            head=former[-1].revision if former else "base",
            rev_id=_name(former),
            version_path=str(folder),
        )
    assert isinstance(script, Script)
    history.cache_clear()
    in_style(Path(script.path))
    return Path(script.path)


def _name(former: Sequence[Script]) -> str:
    """The name of a new migration: the time, and later than that of the last one."""
    names = [int(script.revision) for script in former if script.revision.isdecimal()]
    return str(max([int(f"{utc_now():%Y%m%d%H%M%S}"), *(name + 1 for name in names)]))


def scripts(adapter: DatabaseAdapter) -> tuple[Script, ...]:
    """All migrations for an adapter's tables, in the order in which they are applied."""
    return _history(adapter).scripts


def _history(adapter: DatabaseAdapter) -> History:
    return history(bare(adapter).schema.migrations)


def _declared(adapter: DatabaseAdapter) -> list[sa.Table]:
    return [*internal_tables.metadata.sorted_tables, *bare(adapter).schema.metadata.sorted_tables]


@contextmanager
def _adopted(adapter: DatabaseAdapter) -> Iterator[tuple[sa.Connection, set[str], list[str]]]:
    """A transaction that migrates alone; the tables that Isthmus makes no more, and the revisions that are recorded."""
    with _alembic.turn, connected(adapter, writes=True) as connection:
        _serialise(connection)
        recorded = _recorded(connection)
        yield connection, _released(connection, adapter, recorded), _adopt(connection, adapter, recorded)


def _run(connection: sa.Connection, adapter: DatabaseAdapter, revisions: list[str], *, up: bool) -> None:
    """Apply or undo revisions, in their order."""
    if not revisions:
        return
    row_security.lift(connection)
    made = _config(connection, adapter)
    with explained(bare(adapter), revisions, made.attributes["done"]):
        for last in _history(adapter).steps(revisions, up=up):
            (command.upgrade if up else command.downgrade)(made, last)


def _make_state(connection: sa.Connection, adapter: DatabaseAdapter, former: Iterable[str]) -> None:
    """What is not history, for the tables that are there now.

    :param former: tables that Isthmus' own migrations have made in this database, and make no more.
    """
    declared = _declared(adapter)
    if not row_security.apply(connection, declared, tables_made(scripts(adapter)).union(former)):
        released.mark(connection, set(former).difference(table.name for table in declared))
    functions.apply(connection)
    capture.apply(connection, declared)


def _released(connection: sa.Connection, adapter: DatabaseAdapter, recorded: Iterable[str]) -> set[str]:
    """The tables of this database that Isthmus' own migrations have made, and make no more; before policies go."""
    known = _history(adapter)
    return known.released(recorded) | released.released(connection, known.all_released())


def _adopt(connection: sa.Connection, adapter: DatabaseAdapter, recorded: list[str]) -> list[str]:
    """Have the application's migrations recorded whose tables are there already; what is recorded then."""
    there = set(sa.inspect(connection).get_table_names())
    adopted = [script for script in _history(adapter).adoptable(recorded) if there & tables_made([script])]
    if not adopted:
        return recorded
    both = [*recorded, adopted[-1].revision]
    command.stamp(_config(connection, adapter), both, purge=True)
    return both


def _config(connection: sa.Connection, adapter: DatabaseAdapter) -> Config:
    schema = bare(adapter).schema
    made = config(schema.migrations)
    made.attributes.update(connection=connection, metadata=schema.metadata, done=[])
    return made


def _recorded(connection: sa.Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts={"version_table": comparison.VERSION_TABLE})
    return sorted(context.get_current_heads())


def _serialise(connection: sa.Connection) -> None:
    """Wait for other processes. On SQLite the transaction has the write lock from its beginning."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)

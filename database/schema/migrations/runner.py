"""Runs migrations on adapters and compares databases with the declared tables."""

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
from database.schema.adoption.marks import is_adopted
from database.schema.adoption.marks import own
from database.schema.migrations import own_schema
from database.schema.migrations import released
from database.schema.migrations import row_security
from database.schema.migrations.capture import install as capture
from database.schema.migrations.failures import explained
from database.schema.migrations.history import History
from database.schema.migrations.history import config
from database.schema.migrations.history import history
from database.schema.migrations.others import Others
from database.schema.migrations.others import found_others
from database.schema.migrations.others import without
from database.schema.migrations.recorded import recorded_in
from database.schema.migrations.revisions import comparison
from database.schema.migrations.revisions.made import tables_made
from database.schema.migrations.revisions.style import format_file
from database.schema.migrations.supabase import functions
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import connected
from database.schema.sqlalchemy_engine import has_engine
from database.schema.sqlalchemy_engine import is_there

_LOCK = sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(b"isthmus")))

_LONGEST_MESSAGE = 100


class _Alembic:
    """Alembic keeps its running environment in a module, so that a process can run only one at a time."""

    def __init__(self) -> None:
        self._create_runtime_state()
        rebuild_after_fork(self, _Alembic._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Create the lock anew in a forked child, in which no migration is running."""
        self.turn = Lock()


_alembic = _Alembic()


def current(adapter: DatabaseAdapter) -> list[str]:
    """The revisions that the database records: the last one of Isthmus and the last one of the application.

    Usually takes one query through the adapter. Does not create a missing SQLite file.
    """
    if not (has_engine(adapter) and is_there(adapter)):
        return []
    try:
        with as_application():
            return sorted(str(row["version_num"]) for row in bare(adapter).run_alone(recorded_in(adapter)).rows)
    except (InvalidQuery, PermissionDenied):
        # The table does not exist, or the application's role may not read it; the configured user can tell.
        with _opened(adapter, writes=False) as connection:
            return _recorded(connection)


def pending(adapter: DatabaseAdapter) -> list[str]:
    """The revisions that the database lacks, oldest first, Isthmus's before the application's.

    :raises UnknownRevision: if it has a revision that does not exist in this version of the application.
    :raises ForkedHistory: if two migrations have the same predecessor.
    """
    return _history(adapter).missing(current(adapter)) if has_engine(adapter) else []


def upgrade(adapter: DatabaseAdapter, revision: str = "head", *, always: bool = False) -> list[str]:
    """Apply the missing migrations in one transaction; returns the revisions that this call has applied.

    If several processes upgrade at the same time, one does the work and the others wait. Access rules and the change
    log are created for the declared tables that exist then; :func:`database.schema.migrations.presence.missing` returns
    the missing ones.

    :param revision: the last revision to apply; one of the application includes all of Isthmus.
    :param always: create access rules, Supabase's functions and the change log again even if no revision is missing.
    :raises UnknownRevision: if ``revision`` or one that the database has does not exist in this version.
    :raises ForkedHistory: if two migrations have the same predecessor.
    :raises TableInTheWay: if a table that a migration creates exists already.
    :raises MigrationFailed: if the database refuses a migration.
    :raises OutcomeUnknown: if the response was lost; upgrading again is safe.
    :raises DataError: if the database cannot be reached. Except for ``OutcomeUnknown``, nothing was applied.
    """
    known = _history(adapter)
    target = known.known(revision)
    if not has_engine(adapter) or not (known.up_to(pending(adapter), target) or always):
        return []
    with _adopted(adapter) as (connection, former, recorded, others):
        missing = known.up_to(known.missing(recorded), target)
        _run(connection, adapter, missing, up=True)
        own_schema.settle(connection, [*known.applied(recorded), *missing])
        _make_state(connection, adapter, former, others)
    return missing


def downgrade(adapter: DatabaseAdapter, revision: str = "-1") -> list[str]:
    """Undo migrations in one transaction, including the tables and columns they created; returns the undone revisions.

    :param revision: the revision to return to, which undoes the later ones of its branch; ``base`` undoes all
        revisions, ``-1`` only the last one, which is the application's if it has any.
    :raises UnknownRevision: if the revision does not exist, the database does not have it, or the database has one that
        does not exist.
    :raises DataError: as :func:`upgrade`.
    """
    known = _history(adapter)
    with _adopted(adapter) as (connection, former, recorded, others):
        applied = known.applied(recorded)
        undone = known.above(applied, revision)
        _run(connection, adapter, undone, up=False)
        if undone:
            own_schema.settle(connection, [one for one in applied if one not in undone])
            _make_state(connection, adapter, former, others)
    return undone


def stamp(adapter: DatabaseAdapter, revision: str) -> tuple[list[str], list[str]]:
    """Record that the database has a revision, without running migrations; returns the former and the new record.

    :param revision: a revision, which does not affect the other branch; ``head`` for the newest, ``base`` for none.
    :raises UnknownRevision: if the revision does not exist.
    :raises DataError: as :func:`upgrade`.
    """
    known = _history(adapter)
    if revision != "base":
        known.known(revision)
    with _alembic.turn, _opened(adapter, writes=True) as connection:
        _serialise(connection)
        before = _recorded(connection)
        after = [] if revision == "base" else known.stamped(before, revision)
        # Works even if the recorded revision does not exist, because stamping is the remedy for that.
        command.stamp(_config(connection, adapter), after or "base", purge=True)
        row_security.protect_own(connection)
    return before, after


def check(adapter: DatabaseAdapter) -> list[str]:
    """The differences from the declared tables, access rules, Supabase functions and change log, one line each."""
    if not has_engine(adapter):
        return []
    if not is_there(adapter):
        return ["the SQLite file does not exist; run `flask db upgrade` to create it"]
    made, adopted = tables_made(scripts(adapter)), _adopted_tables(adapter)
    with _opened(adapter, writes=False) as connection:
        made |= released.released(connection, _history(adapter).all_released())
        declared, others = _declared(adapter), _others(connection, adapter)
        ruled, logged = without(declared, others.rules), without(declared, others.log)
        made -= {table.name for table in adopted} | others.rules
        rules = row_security.differences(connection, [*ruled, *row_security.asked(connection, adopted)], made)
        rules += functions.differences(connection)
        internal = internal_tables.placed() if own_schema.current(connection) else internal_tables.metadata
        tables = comparison.differences(connection, internal, bare(adapter).schema.metadata)
        return tables + rules + capture.differences(connection, [*logged, *capture.asked(connection, adopted)])


def revise(adapter: DatabaseAdapter, message: str) -> Path:
    """Upgrade the database and write the application's next migration from its differences to the declared tables.

    Review the migration before running it. Its revision is the present time, which makes it unique.

    :param message: what the migration does, on one line.
    :raises ValueError: for an invalid message, and for an adapter whose tables have no folder of migrations.
    :raises CannotBeWritten: if the migration would fail on existing rows; gives the reason for each column.
    :raises DataError: as :func:`upgrade`.
    """
    if not 0 < len(message) <= _LONGEST_MESSAGE or not message.isprintable() or set(message) & set('\\"'):
        limits = f"at most {_LONGEST_MESSAGE} characters, without quotation marks or backslashes"
        raise ValueError(f"the message must be one line of {limits}")
    migrations = bare(adapter).schema.migrations
    if migrations is None:
        raise ValueError(
            "the tables of this database have no folder of migrations; pass one to schema_of(metadata, migrations)"
        )
    folder = migrations / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    upgrade(adapter)
    former = _history(adapter).application
    with _alembic.turn, _opened(adapter, writes=False) as connection:
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
    format_file(Path(script.path))
    return Path(script.path)


def _name(former: Sequence[Script]) -> str:
    """The revision of a new migration: the present time, but later than the last revision."""
    names = [int(script.revision) for script in former if script.revision.isdecimal()]
    return str(max([int(f"{utc_now():%Y%m%d%H%M%S}"), *(name + 1 for name in names)]))


def scripts(adapter: DatabaseAdapter) -> tuple[Script, ...]:
    """All migrations for an adapter's tables, in the order in which they are applied."""
    return _history(adapter).scripts


def _history(adapter: DatabaseAdapter) -> History:
    return history(bare(adapter).schema.migrations)


def _declared(adapter: DatabaseAdapter) -> list[sa.Table]:
    return [*internal_tables.metadata.sorted_tables, *own(bare(adapter).schema.metadata.sorted_tables)]


def _adopted_tables(adapter: DatabaseAdapter) -> list[sa.Table]:
    return [table for table in bare(adapter).schema.metadata.sorted_tables if is_adopted(table)]


@contextmanager
def _opened(adapter: DatabaseAdapter, *, writes: bool) -> Iterator[sa.Connection]:
    """A transaction in which our own tables are found by their names alone."""
    with connected(adapter, writes=writes) as connection:
        own_schema.widen(connection)
        yield connection


@contextmanager
def _adopted(adapter: DatabaseAdapter) -> Iterator[tuple[sa.Connection, set[str], list[str], Others]]:
    """Open an exclusive migration transaction; yields it with the released tables, the recorded revisions, and what
    others have made.
    """
    with _alembic.turn, _opened(adapter, writes=True) as connection:
        _serialise(connection)
        recorded = _recorded(connection)
        others = _others(connection, adapter)
        yield connection, _released(connection, adapter, recorded), _adopt(connection, adapter, recorded), others


def _run(connection: sa.Connection, adapter: DatabaseAdapter, revisions: list[str], *, up: bool) -> None:
    """Apply or undo revisions in the given order."""
    if not revisions:
        return
    row_security.lift(connection)
    if connection.dialect.name == "postgresql":
        # Once more, so that a printed plan includes it.
        connection.exec_driver_sql(own_schema.WIDENING, execution_options={"no_parameters": True})
    made = _config(connection, adapter)
    with explained(bare(adapter), revisions, made.attributes["done"]):
        for last in _history(adapter).steps(revisions, up=up):
            (command.upgrade if up else command.downgrade)(made, last)


def _others(connection: sa.Connection, adapter: DatabaseAdapter) -> Others:
    declared = own(bare(adapter).schema.metadata.sorted_tables)
    return found_others(connection, declared, tables_made(scripts(adapter)))


def _make_state(connection: sa.Connection, adapter: DatabaseAdapter, former: Iterable[str], others: Others) -> None:
    """Create access rules, functions and the change log for the tables that exist now.

    :param others: the tables that others have made.
    :param former: tables of this database that Isthmus's migrations have created and no longer create.
    """
    declared, adopted = _declared(adapter), _adopted_tables(adapter)
    made = tables_made(scripts(adapter)).union(former).difference(table.name for table in adopted)
    ruled, logged = without(declared, others.rules), without(declared, others.log)
    if not row_security.apply(connection, [*ruled, *row_security.asked(connection, adopted)], made - others.rules):
        released.mark(connection, made.intersection(former).difference(table.name for table in declared))
    functions.apply(connection)
    capture.apply(connection, [*logged, *capture.asked(connection, adopted)])


def _released(connection: sa.Connection, adapter: DatabaseAdapter, recorded: Iterable[str]) -> set[str]:
    """The tables of this database that Isthmus's migrations have created and no longer create; call before lift()."""
    known = _history(adapter)
    return known.released(recorded) | released.released(connection, known.all_released())


def _adopt(connection: sa.Connection, adapter: DatabaseAdapter, recorded: list[str]) -> list[str]:
    """Record the application's migrations whose tables exist already; returns the recorded revisions.

    That are those whose tables Isthmus's own migrations have created, or all, if a database has the declared tables
    without any migration of the application.
    """
    there = set(sa.inspect(connection).get_table_names())
    adopted = [script for script in _history(adapter).adoptable(recorded) if there & tables_made([script])]
    if not adopted and _are_as_declared(connection, adapter, recorded, there):
        adopted = list(_history(adapter).application)
    if not adopted:
        return recorded
    both = [*recorded, adopted[-1].revision]
    command.stamp(_config(connection, adapter), both, purge=True)
    return both


def _are_as_declared(
    connection: sa.Connection, adapter: DatabaseAdapter, recorded: Iterable[str], there: set[str]
) -> bool:
    """Whether all tables of the application's migrations exist as they are declared, and none of these has run."""
    scripts = _history(adapter).application
    made = tables_made(scripts)
    if not made or not made <= there or not {script.revision for script in scripts}.isdisjoint(recorded):
        return False
    return not comparison.differences(connection, bare(adapter).schema.metadata)


def _config(connection: sa.Connection, adapter: DatabaseAdapter) -> Config:
    schema = bare(adapter).schema
    made = config(schema.migrations)
    place = own_schema.current(connection)
    made.attributes.update(connection=connection, metadata=schema.metadata, done=[], version_table_schema=place)
    return made


def _recorded(connection: sa.Connection) -> list[str]:
    place = {"version_table": comparison.VERSION_TABLE, "version_table_schema": own_schema.current(connection)}
    context = MigrationContext.configure(connection, opts=place)
    return sorted(context.get_current_heads())


def _serialise(connection: sa.Connection) -> None:
    """Wait for other processes. On SQLite the transaction holds the write lock from its beginning."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)

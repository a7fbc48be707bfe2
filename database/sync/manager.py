"""The sync manager, which keeps two databases equal in both directions: the public interface of sync."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from threading import Lock
from typing import Any
from typing import ClassVar
from typing import Literal
from typing import Self
from weakref import WeakSet

from database.adapter.base import DatabaseAdapter
from database.changes.followed import require_followed
from database.core.errors import Conflict
from database.core.errors import DataError
from database.core.errors import NotFound
from database.core.lifecycle import Worker
from database.core.lifecycle import rebuild_after_fork
from database.sync.audit.auditor import Auditor
from database.sync.checkpoint import Checkpoints
from database.sync.conflicts.decisions import Decision
from database.sync.conflicts.decisions import checked_decision
from database.sync.conflicts.decisions import deciding
from database.sync.conflicts.listing import ListedConflict
from database.sync.conflicts.listing import State
from database.sync.conflicts.listing import listed
from database.sync.conflicts.listing import one_conflict
from database.sync.conflicts.open_conflicts import conflict_id as open_id
from database.sync.conflicts.strategies import Policies
from database.sync.conflicts.strategies import Strategies
from database.sync.conflicts.units import ConflictUnit
from database.sync.cycle import Cycle
from database.sync.failures import Failures
from database.sync.options import DEFAULT_INTERVAL
from database.sync.options import DEFAULT_RESOLUTION
from database.sync.options import checked
from database.sync.options import checked_rows
from database.sync.options import with_own_tables
from database.sync.progress import Progress
from database.sync.reconciler import Reconciler
from database.sync.reconciler import StoppedError
from database.sync.side import Pair
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import NextAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import SideName
from database.sync.three_way_merge import next_forced_action
from database.sync.three_way_merge import next_restoring_action
from database.sync.untangling.part_by_part import Failed

logger = logging.getLogger(__name__)

Callback = Callable[..., object]
Target = Literal["both", "first", "second"]

_ATTEMPTS = 3
"""The most attempts at a cycle that conflicts with another process syncing the same pair."""


class SyncManager:
    """Keeps the same tables of two databases equal.

    Either side, ``first`` or ``second``, may be any adapter with a change feed. The last agreed rows are stored on both
    sides under their adapters' names, so that deletions can be distinguished from new rows, and sync resumes after a
    restart where it ended.

    :param sync_interval: seconds between two cycles.
    :param sync_tables: by default all declared tables that are not internal.
    :param conflict_resolution: see :mod:`database.sync.conflicts.strategies`.
    :param sync_numbers: the side that makes the keys of numbered tables. The adapter of the other one refuses new
        records without a key from then on. It must be chosen if both sides number the records of a table.
    :param conflict_deletes: the policy for records that one side has deleted and the other one has changed, or a
        mapping of tables to policies; see there.
    :param conflict_units: records that a function resolves together; see :mod:`database.sync.conflicts.units`.
    :param audit_rows: the records that each cycle audits after its work, so that all are compared again and again; 0
        for none.
    :param accounts: whether the tables of accounts and stores are synced, too (:mod:`database.internal_tables`). That
        of stores also is if ``sync_tables`` names it. No change log of a SQL database has them, so each cycle compares
        all of their records.
    :raises ConfigurationError: names every invalid option.
    :raises Unsupported: for an adapter without a change feed, or without repeatable reads.
    :cvar started: those of this process whose thread was started.
    """

    started: ClassVar[WeakSet[SyncManager]] = WeakSet()

    def __init__(  # noqa: PLR0913 - the documented parameters, the others by name
        self,
        first: DatabaseAdapter,
        second: DatabaseAdapter,
        sync_interval: float = DEFAULT_INTERVAL,
        sync_tables: Sequence[str] | None = None,
        conflict_resolution: Strategies = DEFAULT_RESOLUTION,
        sync_numbers: SideName | None = None,
        *,
        conflict_deletes: Policies | None = None,
        conflict_units: Sequence[ConflictUnit] = (),
        audit_rows: int = 0,
        accounts: bool = False,
    ) -> None:
        conflicts = conflict_resolution, sync_numbers, conflict_deletes, conflict_units
        self._options = checked(first, second, sync_interval, sync_tables, *conflicts)
        self.interval = self._options.interval
        self.tables = with_own_tables(self._options.tables, first, second) if accounts else self._options.tables
        self.audit_rows = checked_rows(audit_rows)
        self.pair = Pair.of(first, second, self.tables)
        if sync_numbers is not None:
            maker, other = (first, second) if sync_numbers == "first" else (second, first)
            other.leave_numbers_to(maker.name, self.tables)
        self._callbacks: dict[str, Callback | None] = {}
        self._create_runtime_state()
        rebuild_after_fork(self, SyncManager._create_runtime_state, after=(first, second))

    def _create_runtime_state(self) -> None:
        """Create the state that must not be shared with a forked child: locks and the thread."""
        schema = self.pair.sides[0].adapter.schema
        self._next_action: NextAction = self._options.deciding(schema, self.tables)
        self._progress = Progress(self.tables)
        self._failures = Failures(self.pair)
        self._checkpoints = Checkpoints(self.pair)
        callbacks = (self._callback("on_conflict"), self._callback("on_sync_error"))
        self._reconciler = Reconciler(self.pair, self._failures, self._progress, *callbacks)
        self._cycle = Cycle(
            self.pair, self._checkpoints, self._reconciler, self._next_action, self._failures, self._progress
        )
        self._audit = self.auditor() if self.audit_rows else None
        self._audit_resumed = False
        own = [name for name in self.tables if schema.table(name).internal]
        self._own = self._auditor(own, repair=True, quick=True) if own else None
        self._cycling = Lock()
        self._worker = Worker(f"isthmus-sync-{self.pair.name}", self._step, self.interval)
        self._out = False

    def set_callbacks(
        self,
        on_sync_start: Callable[[], object] | None = None,
        on_sync_complete: Callable[[dict[str, Any]], object] | None = None,
        on_conflict: Callable[[str, str, Any, Any], object] | None = None,
        on_sync_error: Callable[[Exception], object] | None = None,
    ) -> None:
        """Set callbacks. Their return values are ignored, and their exceptions are logged.

        :param on_sync_start: called when a cycle begins.
        :param on_sync_complete: called after a cycle, with :meth:`get_sync_status`.
        :param on_conflict: called after a conflict was resolved, with table, record id, and both original rows.
        :param on_sync_error: called with the error when a cycle is aborted or a record cannot be synced.
        """
        self._callbacks = {
            "on_sync_start": on_sync_start,
            "on_sync_complete": on_sync_complete,
            "on_conflict": on_conflict,
            "on_sync_error": on_sync_error,
        }

    @property
    def running(self) -> bool:
        """Whether cycles run in the background."""
        return self._worker.running

    def start_sync(self, background: bool = True) -> bool:
        """Run cycles in a thread until :meth:`stop_sync_thread`; with ``background=False``, run one cycle now.

        :returns: False if the thread is already running; in the foreground as :meth:`sync_all`.
        """
        if background:
            SyncManager.started.add(self)
            return self._worker.start()
        return not self.running and self.sync_all()

    def stop_sync_thread(self) -> None:
        """Stop the thread and wait until it has finished its current records. It may be called repeatedly."""
        self._worker.stop()

    def sync_all(self) -> bool:
        """Run one cycle.

        :returns: whether both sides responded, and every record is reconciled or waits for a decision.
        """
        return self._run_cycle(lambda: False)

    def force_sync_record(self, table: str, record_id: str, target: Target = "both") -> bool:
        """Reconcile one record now.

        :param target: ``both`` syncs as a cycle does. ``first`` or ``second`` writes only that side: it gets the other
            side's row, or its row is deleted if the other side has deleted it. A lost change is written to the journal.
        :returns: whether both sides now have the same row, or both have deleted it; False for an unknown record.
        :raises ValueError: for a table that is not synced, and for an unknown target.
        """
        if table not in self.tables:
            raise ValueError(f"table {table!r} is not synced; use one of {', '.join(self.tables)}")
        if target not in {"both", *SIDES}:
            raise ValueError(f"target must be both, {' or '.join(SIDES)}, not {target!r}")
        try:
            return self._force(RecordKey(table, record_id), target)
        except DataError as error:
            self._report(error)
            return False

    def reconcile(self, keys: Iterable[RecordKey], *, restoring: bool = False) -> Failed:
        """Reconcile these records now. :returns: those that failed, with their reasons.

        :param restoring: whether a record that one side lacks gets there again, with an entry in the journal. Otherwise
            it counts as deleted there if both sides had agreed on it.
        :raises BackendError: if a side does not respond.
        """
        epoch = self._checkpoints.load().epoch
        follow = next_restoring_action(self._next_action) if restoring else self._next_action
        return self._reconciler.reconcile(keys, epoch, follow, lambda: False)[1]

    def auditor(self, tables: Sequence[str] | None = None, *, repair: bool = False, patience: float = 0.0) -> Auditor:
        """An audit, which compares all records of both sides.

        :param tables: by default all synced ones.
        :param repair: whether records that differ are reconciled.
        :param patience: seconds to wait for changes that no cycle has carried over yet.
        :raises ValueError: for a table that is not synced.
        """
        chosen = self.tables if tables is None else tuple(table for table in self.tables if table in tables)
        if unknown := [table for table in tables or () if table not in self.tables]:
            raise ValueError(f"table {unknown[0]!r} is not synced; use one of {', '.join(self.tables)}")
        return self._auditor(chosen, repair=repair, patience=patience)

    def _auditor(self, tables: Sequence[str], *, repair: bool, patience: float = 0.0, quick: bool = False) -> Auditor:
        mend = (lambda keys, restoring: self.reconcile(keys, restoring=restoring)) if repair else None
        return Auditor(self.pair, self._checkpoints, tables, mend, patience, quick=quick)

    def get_conflicts(
        self, table: str | None = None, *, state: State | None = None, limit: int = 100
    ) -> list[ListedConflict]:
        """The conflicts that wait for a decision, and the newest of the resolved ones.

        :raises BackendError: if a side does not respond.
        """
        return listed(self.pair, table=table, state=state, limit=limit)

    def resolve_conflict(self, conflict_id: str, decision: Decision) -> None:
        """Resolve a conflict that waits for a decision, now.

        :param decision: ``first`` or ``second`` for the row of that side, or its deletion; a row, which may leave out
            columns in which both sides are equal; None to delete the record.
        :raises NotFound: if no open conflict has this id.
        :raises Conflict: if the record has changed since the conflict was found.
        :raises RequestError: if the row is not valid, or the database refuses it.
        :raises BackendError: if a side does not respond.
        """
        found = one_conflict(self.pair, conflict_id)
        if found.state != "open" or found.table not in self.tables:
            raise NotFound(f"the conflict {conflict_id!r} does not wait for a decision")
        key, epoch = RecordKey(found.table, found.record), self._checkpoints.load().epoch
        self._failures.load()
        state = self._state(key, epoch)
        if open_id(self.pair.name, state) != conflict_id:
            raise Conflict("the record has changed since this conflict was found; the next cycle lists it anew")
        table = self.pair.sides[0].adapter.schema.table(key.table)
        resolution = checked_decision(table, state, decision)
        actions = deciding(self.pair.name, conflict_id, resolution, self._next_action)
        _, failed = self._reconciler.reconcile([key], epoch, actions, lambda: False)
        if key in failed:
            raise failed[key]

    def get_sync_status(self) -> dict[str, Any]:
        """The status, without a call of the databases.

        Counts are since the creation of this manager; ``sides`` are the names of the two adapters, ``failures`` the
        records that could not be synced, ``open_conflicts`` the number of conflicts that wait for a decision, and
        ``cursors_age`` the seconds since both feeds were last read to their ends. ``audit`` is the state of the audit
        beside the cycles, if there is one: its counts, and ``last``, the result of the last one that came to its end.
        """
        status = self._progress.snapshot()
        failures = self._failures.reasons()
        for table, counts in status["tables"].items():
            counts["failures"] = sum(key.table == table for key in failures)
        return {
            "running": self.running,
            "sync_in_progress": self._cycling.locked(),
            "sync_interval": self.interval,
            "sides": {side.name: side.adapter.name for side in self.pair.sides},
            **status,
            "audit": None if self._audit is None else self._audit.status(),
            "open_conflicts": len(self._failures.open),
            "failures": [{"table": key.table, "id": key.id, "reason": reason} for key, reason in failures.items()],
        }

    def __enter__(self) -> Self:
        self.start_sync()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_sync_thread()

    def _force(self, key: RecordKey, target: Target) -> bool:
        epoch = self._checkpoints.load().epoch
        before = self._state(key, epoch)
        if before.first.row is None and before.second.row is None and before.newest_base() is None:
            return False
        one_way: NextAction = lambda state: next_forced_action(state, target)  # type: ignore[arg-type]  # noqa: E731
        _, failed = self._reconciler.reconcile(
            [key], epoch, self._next_action if target == "both" else one_way, lambda: False
        )
        after = self._state(key, epoch)
        return not failed and after.first.text == after.second.text

    def _state(self, key: RecordKey, epoch: str) -> RecordState:
        first, second = (side.states([key], epoch)[key] for side in self.pair.sides)
        return RecordState(key, first, second)

    def _step(self) -> None:
        self._run_cycle(lambda: self._worker.stopping)

    def _run_cycle(self, stopped: Callable[[], bool]) -> bool:
        with self._cycling:
            self._call_back("on_sync_start")
            self._progress.begin()
            error: DataError | None = None
            complete = False
            try:
                for side in self.pair.sides:
                    require_followed(side.adapter, self.tables)
                complete = self._attempt(stopped)
                if self._own is not None:
                    self._own.run(stopped)
                    complete = complete and not self._failures.keys()
                self._audit_some(stopped)
                self._note_recovery()
            except StoppedError:
                logger.info("the sync of %s was stopped", self.pair.name)
            except DataError as caught:
                error = caught
                self._report(caught)
            finally:
                self._progress.end(error)
        if error is None:
            self._call_back("on_sync_complete", self.get_sync_status())
        return complete

    def _audit_some(self, stopped: Callable[[], bool]) -> None:
        if self._audit is None:
            return
        if not self._audit_resumed:
            self._audit_resumed = self._audit.resume() or True
        findings = self._audit.run(stopped, self.audit_rows)
        if findings.complete and findings.differences:
            logger.warning(
                "the audit of %s found %d records that differ; run `flask sync audit --repair`",
                self.pair.name,
                findings.differences,
            )

    def _attempt(self, stopped: Callable[[], bool]) -> bool:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._cycle.run(stopped)
            except Conflict as error:
                logger.info("the sync cycle of %s is retried: %s", self.pair.name, error)
        return self._cycle.run(stopped)

    def _report(self, error: DataError) -> None:
        if not self._out:
            logger.warning("the sync of %s failed; it is retried: %s", self.pair.name, error)
        self._out = True
        self._call_back("on_sync_error", error)

    def _note_recovery(self) -> None:
        if self._out:
            logger.warning("the sync of %s works again", self.pair.name)
        self._out = False

    def _callback(self, name: str) -> Callback:
        return lambda *values: self._call_back(name, *values)

    def _call_back(self, name: str, *values: object) -> None:
        callback = self._callbacks.get(name)
        if callback is None:
            return
        try:
            callback(*values)
        except Exception:
            logger.exception("the callback %s of the sync of %s failed", name, self.pair.name)

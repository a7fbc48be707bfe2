"""Records of reinforcement learning, experiments and runs: stored whole under their keys, and by functions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from heapq import merge
from itertools import islice
from typing import Any
from typing import Final
from typing import Self

from database.adapter.interface import Database
from storage.asynchronous.convex.records import EXPERIMENT
from storage.asynchronous.convex.records import EXPERIMENT_FIELDS
from storage.asynchronous.convex.records import PREFIXES
from storage.asynchronous.convex.records import RECORD_TYPES
from storage.asynchronous.convex.records import RUN
from storage.asynchronous.convex.records import RUN_FIELDS
from storage.asynchronous.convex.records import documented
from storage.asynchronous.convex.records import prefix_of
from storage.asynchronous.convex.records import sent
from storage.core.entry import Entry
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageTransactionConflict
from storage.core.errors import shown
from storage.core.keys import check_key
from storage.core.keys import check_prefix
from storage.core.keys import without_nul
from storage.core.store import MAX_PAGE
from storage.core.store import Store
from storage.core.store import check_limit
from stores.experiments.entries import RecordEntries
from stores.experiments.kinds import KINDS
from stores.experiments.kinds import LONGEST
from stores.experiments.kinds import OF_PREFIX
from stores.experiments.kinds import RL_DATA

STARTED: Final = "started"
COMPLETED: Final = "completed"

_DATA: Final = "rl_episode_data"
_UNKNOWN: Final = "unknown"
_ATTEMPTS: Final = 10

Record = dict[str, Any]


class Experiments:
    """Records under keys, whose prefixes say what they are.

    ========================================================  =========================================
    ``episode:``, ``trajectory:``                             reinforcement-learning data
    ``agent_legacy:``, ``legacy:``                            what agents and civilizations have learned
    ``training_run:``, ``rl_training:``                       training of policies
    ``experiment:``, ``run:``                                 results of experiments, and runs
    ========================================================  =========================================

    A record may be stored by its key (:meth:`save`) or by its fields (such as :meth:`save_experiment`); both find it.

    :param rl_data: where reinforcement-learning data is.
    :param experiments: where experiments are; this and ``runs`` may be the same store.
    :param general: where values with other keys are; without it, such keys are refused.
    """

    def __init__(self, rl_data: Store, experiments: Store, runs: Store, general: Store | None = None) -> None:
        self._stores = dict(zip((kind.table for kind in KINDS), (rl_data, experiments, runs), strict=True))
        self._general = general

    @classmethod
    def on_tables(cls, database: Database, general: Store | None = None) -> Self:
        """Records in the application's tables (:func:`stores.declare_experiments`), in the request's transaction."""
        rl_data, experiments, runs = (Store(RecordEntries(database, kind), kind.table) for kind in KINDS)
        return cls(rl_data, experiments, runs, general)

    @classmethod
    def on_store(cls, store: Store, *, general: bool = False) -> Self:
        """Records in one store, under their keys.

        :param general: whether it also keeps values with other keys.
        """
        return cls(store, store, store, store if general else None)

    # Under keys

    def save(self, key: str, value: Any) -> Entry:
        """Store a value, replacing the one that is there; returns its entry, without the value.

        :raises StorageKeyError: if no records have its key, or if the record has another id than the key.
        :raises StorageSerializationError: if it is no dictionary, or a documented field is of another type.
        """
        if self._is_general(key):
            return self._of(key).put(key, value)
        call = sent(key, value)
        return self._put(key, call.arguments if _is_rl(key) else dict(value))

    def load(self, key: str) -> Any:
        """The value of a key, as it was saved. :raises StorageNotFoundError: if there is none."""
        value = self._of(key).load(key)
        return _unwrapped(key, value) if self._has_record(key) and _is_rl(key) else value

    def entry(self, key: str) -> Entry | None:
        """The record of a key with its version and times, or None; reinforcement-learning data with all its fields."""
        try:
            return self.existing(key)
        except StorageNotFoundError:
            return None

    def existing(self, key: str) -> Entry:
        """As :meth:`entry`. :raises StorageNotFoundError: if there is none."""
        return self._of(key).entry(key)

    def exists(self, key: str) -> bool:
        """Whether there is a value. :raises StorageError: if that cannot be known."""
        return self._of(key).exists(key)

    def delete(self, key: str) -> bool:
        """Delete a value; returns whether there was one."""
        return self._of(key).delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with ``prefix``, in order; read as they are needed."""
        recorded = (key for store, part in self._parts(check_prefix(prefix)) for key in store.keys(part))
        return merge(recorded, self._general_keys(prefix))

    def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with ``prefix``, in order."""
        return list(self.keys(prefix))

    def count(self, prefix: str = "") -> int:
        """How many keys begin with ``prefix``."""
        return sum(1 for _ in self.keys(prefix))

    def page(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> tuple[list[str], str | None]:
        """Keys that begin with ``prefix``, in order, and the cursor of the next page; None after the last one.

        :param cursor: that of an earlier page.
        :param limit: how many at most, from 1 to 999.
        """
        check_limit(limit, MAX_PAGE - 1)
        after = check_prefix(cursor or "")
        found = list(islice(self._recorded(check_prefix(prefix), after, limit + 1), limit + 1))
        general = list(islice((key for key in self._general_keys(prefix) if key > after), limit + 1))
        keys = list(merge(found, general))
        return keys[:limit], keys[limit - 1] if len(keys) > limit else None

    def clear(self, prefix: str = "") -> int:
        """Delete what begins with ``prefix``; returns the number of values."""
        cleared = sum([store.clear(part) for store, part in self._parts(check_prefix(prefix))])
        return cleared + sum([self.delete(key) for key in list(self._general_keys(prefix))])

    def close(self) -> None:
        """Close all connections; the next call opens them again."""
        for store in {id(store): store for store in (*self._stores.values(), self._general) if store}.values():
            store.close()

    # By fields

    def save_rl_data(
        self,
        /,
        rl_key: str,
        rl_record_type: str,
        agent_id: str,
        episode_timestamp: float,
        rl_episode_data: Mapping[str, Any],
        **optional_fields: Any,
    ) -> Entry:
        """Store reinforcement-learning data, replacing what is under its key.

        :param rl_record_type: ``episode``, ``trajectory``, ``agent_legacy`` or ``training_run``, as the key says.
        :param rl_episode_data: the value of the key.
        :raises StorageKeyError: if the key is not one of such data.
        :raises StorageSerializationError: for a field of another type; names it.
        """
        expected = RECORD_TYPES.get(prefix_of(rl_key))
        if rl_record_type != expected:
            what = "is of no reinforcement-learning data" if expected is None else f"is of the type {expected!r}"
            raise StorageKeyError(f"the key {shown(rl_key)} {what}, not of {shown(rl_record_type)}")
        if not isinstance(rl_episode_data, Mapping):
            raise StorageSerializationError(f"{_DATA} must be a dictionary, not {shown(rl_episode_data)}")
        named = {"rl_key": rl_key, "rl_record_type": rl_record_type, "agent_id": agent_id}
        data = {"episode_timestamp": episode_timestamp, _DATA: dict(rl_episode_data)}
        return self._put(rl_key, {**named, **data, **optional_fields})

    def get_rl_data_by_key(self, rl_key: str) -> Record | None:
        """The fields of reinforcement-learning data, with the value itself as ``rl_episode_data``; None without any."""
        if not _is_rl(rl_key):
            raise StorageKeyError(f"the key {shown(rl_key)} is of no reinforcement-learning data")
        return self._record(rl_key)

    def save_experiment(  # noqa: PLR0913, PLR0917 - as documented
        self,
        /,
        experiment_id: str,
        optimization_run_id: str,
        system_name: str,
        algorithm_name: str,
        test_case_id: str,
        tested_config: Any,
        experiment_score: float,
        test_passed: bool,
        experiment_timestamp: float,
        **optional_fields: Any,
    ) -> Entry:
        """Store the result of an experiment, replacing the one with its id.

        :raises StorageSerializationError: for a field of another type; names it.
        """
        named = {"experiment_id": experiment_id, "optimization_run_id": optimization_run_id}
        named |= {"system_name": system_name, "algorithm_name": algorithm_name, "test_case_id": test_case_id}
        results = {"tested_config": tested_config, "experiment_score": experiment_score, "test_passed": test_passed}
        given = {**named, **results, "experiment_timestamp": experiment_timestamp, **optional_fields}
        return self._put(_key(EXPERIMENT, experiment_id), documented(given, EXPERIMENT_FIELDS))

    def get_experiment(self, experiment_id: str) -> Record | None:
        """The experiment with the documented names of its fields, such as ``score``; None if there is none."""
        return self._record(_key(EXPERIMENT, experiment_id))

    def start_optimization_run(self, /, run_id: str, system_name: str, algorithm_name: str) -> Entry:
        """Store that a run has started. :raises StorageConflictError: if it is completed already."""
        names = {"run_id": run_id, "system_name": system_name, "algorithm_name": algorithm_name}

        def started(present: Record | None) -> Record:
            if present is not None and present.get("status") == COMPLETED:
                raise StorageConflictError(f"the run {shown(run_id)} is completed already, and cannot start again")
            return {**(present or {}), **names, "status": STARTED}

        return self._change(_key(RUN, run_id), started)

    def complete_optimization_run(self, /, run_id: str, **optional_fields: Any) -> Entry:
        """Store that a run is completed, with its result. What it was started with stays.

        Of a run that was not started here, the result is kept as well; its names are then ``unknown``.
        """
        result = documented(optional_fields, RUN_FIELDS)
        unknown = {"run_id": run_id, "system_name": _UNKNOWN, "algorithm_name": _UNKNOWN}
        return self._change(_key(RUN, run_id), lambda present: {**(present or unknown), **result, "status": COMPLETED})

    def get_optimization_run(self, run_id: str) -> Record | None:
        """The run with the documented names of its fields, such as ``winning_config``; None if there is none."""
        return self._record(_key(RUN, run_id))

    def delete_by_key(self, key: str) -> bool:
        """As :meth:`delete`, by the name that the client of a storage has for it."""
        return self.delete(key)

    # What they have in common

    def _put(self, key: str, record: Record, **condition: Any) -> Entry:
        store = self._of(key)
        # Also where there are no columns: all places take the same records.
        OF_PREFIX[prefix_of(key)].row(record)
        return store.put(key, record, **condition)

    def _change(self, key: str, change: Callable[[Record | None], Record]) -> Entry:
        """Replace a record by what is made of it, whatever others write meanwhile."""
        for _ in range(_ATTEMPTS):
            present = self.entry(key)
            made = change(None if present is None else present.value)
            try:
                if present is None:
                    return self._put(key, made, if_absent=True)
                return self._put(key, made, expected=present.etag)
            except StorageTransactionConflict:
                raise
            except StorageConflictError:
                continue
        raise StorageConflictError(f"others have changed the record {shown(key)} again and again; try it later")

    def _record(self, key: str) -> Record | None:
        entry = self.entry(key)
        return None if entry is None else dict(entry.value)

    def _of(self, key: str) -> Store:
        """The store of a key. :raises StorageKeyError: if there is none for it."""
        if self._general is not None and self._is_general(key):
            return self._general
        kind = OF_PREFIX[prefix_of(key)]
        if len(without_nul(key.removeprefix(kind.beginning))) > LONGEST:
            raise StorageKeyError(f"the key {shown(key)} is too long: it may have {LONGEST} characters")
        return self._stores[kind.table]

    def _is_general(self, key: str) -> bool:
        return self._general is not None and not self._has_record(key)

    @staticmethod
    def _has_record(key: str) -> bool:
        """Whether a key has the prefix of a record, be there an id behind it or not."""
        prefix, colon, _ = check_key(key).partition(":")
        return bool(colon) and prefix in PREFIXES

    def _parts(self, prefix: str) -> Iterator[tuple[Store, str]]:
        """The stores of the records with a prefix, each with a prefix of records only; in the order of the keys."""
        for one in sorted(f"{name}:" for name in PREFIXES):
            if one.startswith(prefix) or prefix.startswith(one):
                yield self._stores[OF_PREFIX[one[:-1]].table], max(one, prefix)

    def _recorded(self, prefix: str, after: str, limit: int) -> Iterator[str]:
        """The first keys of records behind ``after``, from each place at most ``limit``."""
        for store, part in self._parts(prefix):
            if after.startswith(part) or after < part:
                page = store.page(part, cursor=after if after.startswith(part) else None, limit=limit)
                yield from (entry.key for entry in page.entries)

    def _general_keys(self, prefix: str) -> Iterator[str]:
        if self._general is None:
            return iter(())
        return (key for key in self._general.keys(prefix) if not self._has_record(key))


def _is_rl(key: str) -> bool:
    return OF_PREFIX[prefix_of(key)] is RL_DATA


def _key(prefix: str, id_: str) -> str:
    """The key of an experiment or a run. :raises StorageKeyError: if the id is no text."""
    return f"{prefix}:{check_key(id_)}"


def _unwrapped(key: str, record: Any) -> Any:
    """The value in the fields of reinforcement-learning data. :raises StorageCorruptError: if it is none."""
    if not isinstance(record, Mapping) or _DATA not in record:
        raise StorageCorruptError(key, f"it has no {_DATA}")
    return record[_DATA]

"""Records of reinforcement learning, experiments and runs: stored whole under their keys, and by functions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import Self

from database.adapter.interface import Database
from database.core.context import as_application
from storage.asynchronous.convex.records import COMPLETED
from storage.asynchronous.convex.records import EPISODE_DATA
from storage.asynchronous.convex.records import EXPERIMENT
from storage.asynchronous.convex.records import EXPERIMENT_FIELDS
from storage.asynchronous.convex.records import RECORD_TYPES
from storage.asynchronous.convex.records import RUN
from storage.asynchronous.convex.records import RUN_FIELDS
from storage.asynchronous.convex.records import STARTED
from storage.asynchronous.convex.records import UNKNOWN
from storage.asynchronous.convex.records import checked
from storage.asynchronous.convex.records import documented
from storage.asynchronous.convex.records import prefix_of
from storage.asynchronous.convex.records import sent
from storage.core.entry import Entry
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageTransactionConflict
from storage.core.errors import shown
from storage.core.keys import check_key
from storage.core.store import Store
from stores.declaration import require_tables
from stores.experiments.entries import RecordEntries
from stores.experiments.kinds import KINDS
from stores.experiments.kinds import OF_PREFIX
from stores.experiments.kinds import RL_DATA
from stores.experiments.places import RecordPlaces

_ATTEMPTS: Final = 10

Record = dict[str, Any]


class Experiments(RecordPlaces):
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

    @classmethod
    def on_tables(cls, database: Database, general: Store | None = None) -> Self:
        """Records in the application's tables (:func:`stores.declare_experiments`), in the request's transaction.

        :raises ConfigurationError: if the application does not declare them.
        """
        require_tables("experiments", database, {kind.table: (kind.id_column, "record") for kind in KINDS})
        rl_data, experiments, runs = (Store(RecordEntries(database, kind), kind.table) for kind in KINDS)
        return cls(rl_data, experiments, runs, general)

    @classmethod
    def on_store(cls, store: Store, *, general: bool = False) -> Self:
        """Records in one store, under their keys.

        :param general: whether it also keeps values with other keys.
        """
        return cls(store, store, store, store if general else None)

    # Under keys

    @as_application()
    def save(self, key: str, value: Any) -> Entry:
        """Store a value, replacing the one that is there; returns its entry, without the value.

        :raises StorageKeyError: if no records have its key, or if the record has another id than the key.
        :raises StorageSerializationError: if it is no dictionary, or a documented field is of another type.
        """
        if self._is_general(key):
            return self._of(key).put(key, value)
        record = checked(key, value)
        return self._put(key, sent(key, record).arguments if _is_rl(key) else dict(record))

    @as_application()
    def load(self, key: str) -> Any:
        """The value of a key, as it was saved. :raises StorageNotFoundError: if there is none."""
        value = self._of(key).load(key)
        return _data(key, value) if self._has_record(key) and _is_rl(key) else value

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
            raise StorageSerializationError(f"{EPISODE_DATA} must be a dictionary, not {shown(rl_episode_data)}")
        named = {"rl_key": rl_key, "rl_record_type": rl_record_type, "agent_id": agent_id}
        data = {"episode_timestamp": episode_timestamp, EPISODE_DATA: dict(rl_episode_data)}
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
        unknown = {"run_id": run_id, "system_name": UNKNOWN, "algorithm_name": UNKNOWN}
        return self._change(_key(RUN, run_id), lambda present: {**(present or unknown), **result, "status": COMPLETED})

    def get_optimization_run(self, run_id: str) -> Record | None:
        """The run with the documented names of its fields, such as ``winning_config``; None if there is none."""
        return self._record(_key(RUN, run_id))

    def delete_by_key(self, key: str) -> bool:
        """As :meth:`delete`, by the name that the client of a storage has for it."""
        return self.delete(key)

    # What they have in common

    @as_application()
    def _put(self, key: str, record: Record, **condition: Any) -> Entry:
        store = self._of(key)
        # Also where there are no columns: all places take the same records.
        OF_PREFIX[prefix_of(key)].row(record)
        return store.put(key, record, **condition)

    def _change(self, key: str, change: Callable[[Record | None], Record]) -> Entry:
        """Replace a record by what is made of it, whatever others write meanwhile."""
        for _ in range(_ATTEMPTS):
            present = self.entry(key)
            made = change(None if present is None else _fields(key, present.value))
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
        return None if entry is None else _fields(key, entry.value)


def _is_rl(key: str) -> bool:
    return OF_PREFIX[prefix_of(key)] is RL_DATA


def _key(prefix: str, id_: str) -> str:
    """The key of an experiment or a run. :raises StorageKeyError: if the id is no text."""
    return f"{prefix}:{check_key(id_)}"


def _fields(key: str, value: Any) -> Record:
    """The fields of a record. :raises StorageCorruptError: if somebody else has stored something that has none."""
    if not isinstance(value, dict):
        raise StorageCorruptError(key, "it is no record")
    return value


def _data(key: str, value: Any) -> Any:
    """The value in the fields of reinforcement-learning data. :raises StorageCorruptError: if it is none."""
    fields = _fields(key, value)
    if EPISODE_DATA not in fields:
        raise StorageCorruptError(key, f"it has no {EPISODE_DATA}")
    return fields[EPISODE_DATA]

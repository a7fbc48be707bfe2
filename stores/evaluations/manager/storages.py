"""The places for evaluations that are there already, as ``StorageService`` and for the storage manager."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from database.adapter.interface import Database
from database.connection_manager import ConnectionManager
from database.core.result import Row
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import has_engine
from storage.asynchronous.face import StoreFace
from storage.backends.memory import MemoryEntries
from storage.backends.table import TableEntries
from storage.core.errors import StorageConfigurationError
from storage.core.store import Store
from stores.evaluations.attempts import attempted
from stores.evaluations.core import Evaluations
from stores.evaluations.manager.documents import BODIES
from stores.evaluations.manager.documents import columns_in
from stores.evaluations.manager.documents import document_of
from stores.evaluations.manager.documents import event_document
from stores.evaluations.manager.documents import event_parts
from stores.evaluations.manager.documents import metadata_in
from stores.evaluations.meaning.checks import checked_body
from stores.evaluations.meaning.checks import checked_id
from stores.evaluations.meaning.checks import stored_metadata
from stores.evaluations.meaning.errors import missing
from stores.evaluations.outputs import Outputs
from stores.evaluations.places.made_tables import MadeTables
from stores.evaluations.places.on_services import EvaluationsInService
from stores.evaluations.places.on_stores import EvaluationsInStore
from stores.evaluations.places.on_tables import EvaluationsInTables
from stores.evaluations.places.records import EvaluationRecords
from stores.evaluations.places.service import StorageService
from stores.evaluations.tables import EVALUATIONS
from stores.evaluations.tables import own_schema

_STORE = "evaluations"


class EvaluationStorage(StorageService):
    """Evaluations in a place: a database with the tables of evaluations, any store, or a service of your own.

    :param place: a ``Database``, a ``Store``, an asynchronous storage such as ``FileStorage``, or a ``StorageService``.
    :param store: for what is no part of its evaluation; by default in the same place, or none for a ``StorageService``.
    :raises StorageConfigurationError: for anything else.
    :ivar records: the place.
    :ivar store: for outputs that are no part of their evaluation, and for what a fallback or a cache keeps there.
    """

    def __init__(self, place: object, store: Store | None = None) -> None:
        self.records, own = _opened(place)
        self.store = store or own
        self._evaluations = Evaluations(self.records, self.store)
        self._outputs = Outputs(self.store, self.records.inline)

    def store_evaluation(self, eval_id: str, data: dict[str, Any]) -> bool:
        """Store what is given of an evaluation, whatever its status is; what is no field of it becomes metadata."""
        columns, metadata = columns_in(data), stored_metadata(metadata_in(data))
        if self.records.get(checked_id(eval_id), texts=False) is None:
            self._evaluations.create(eval_id, data.get("code") or "")
        bodies = {name: checked_body(name, data[name]) for name in BODIES if data.get(name) is not None}
        kept = [self._outputs.kept(eval_id, name, [body]) for name, body in bodies.items()]
        for one in kept:
            columns |= one.columns
        if "code" in bodies:
            columns["code_hash"] = sha256(bodies["code"]).hexdigest()

        def attempt() -> Row:
            row = self._current(eval_id)
            return self.records.change(row, {**columns, "metadata": {**row["metadata"], **metadata}}, None)

        self._outputs.written(kept, lambda: attempted(attempt, None))
        return True

    def retrieve_evaluation(self, eval_id: str) -> dict[str, Any] | None:
        """The evaluation with the members of its metadata beside its fields, or None."""
        found = self._evaluations.get(eval_id)
        return None if found is None else {**found.metadata, **document_of(found)}

    def store_events(self, eval_id: str, events: Sequence[Mapping[str, Any]]) -> bool:
        """Append those events that are not there yet. Events are never deleted."""
        present = [event_parts(event) for event in self.retrieve_events(eval_id)]
        for event in map(event_parts, events):
            if event in present:
                present.remove(event)
            else:
                self._evaluations.add_event(eval_id, *event)
        return True

    def retrieve_events(self, eval_id: str) -> list[dict[str, Any]]:
        """All events, also those of the status."""
        if self.records.get(checked_id(eval_id), texts=False) is None:
            return []
        return [event_document(event) for event in self._evaluations.all_events(eval_id)]

    def store_metadata(self, eval_id: str, metadata: dict[str, Any]) -> bool:
        """Add members to the metadata, or replace them."""
        self._evaluations.update(eval_id, metadata=metadata)
        return True

    def retrieve_metadata(self, eval_id: str) -> dict[str, Any] | None:
        """The metadata, or None if there is no such evaluation."""
        found = self._evaluations.get(eval_id)
        return None if found is None else dict(found.metadata)

    def list_evaluations(self, limit: int = 100, offset: int = 0) -> list[str]:
        """Ids, the newest evaluation first."""
        return [one.id for one in islice(self._evaluations.every(), offset, offset + limit)]

    def count_evaluations(self, status: str | None = None) -> int:
        """How many there are, of one status or of all."""
        return self._evaluations.count(status=status)

    def delete_evaluation(self, eval_id: str) -> bool:
        """Delete an evaluation with its events, metrics and outputs; returns whether there was one."""
        return self._evaluations.delete(eval_id)

    def _current(self, eval_id: str) -> Row:
        row = self.records.get(eval_id)
        if row is None:
            raise missing(eval_id)
        return row


class DatabaseStorage(EvaluationStorage):
    """Evaluations in the tables of a database of SQL, which are made with their first use if they are missing.

    :param database: an adapter, or a connection manager; that of the application by default. If the application does
        not declare the tables, they are made beside its own ones, and transactions of requests do not include them.
    :raises ConfigurationError: if a given database is not known to have the tables.
    """

    def __init__(self, database: Database | None = None) -> None:
        super().__init__(_applications_own() if database is None else database)


class InMemoryStorage(EvaluationStorage):
    """Evaluations in the memory of this process. What was unused for longest gives way above 256 MiB."""

    def __init__(self) -> None:
        super().__init__(Store(MemoryEntries()))


def storage_of(place: object) -> EvaluationStorage:
    """``place`` as one for evaluations. :raises StorageConfigurationError: says what may be one."""
    return place if isinstance(place, EvaluationStorage) else EvaluationStorage(place)


def _applications_own() -> Database:
    """The application's databases, or its primary one with the tables of evaluations alone if it declares none."""
    manager = ConnectionManager.get_instance()
    primary = bare(manager.adapters[manager.primary_adapter])
    if EVALUATIONS in manager.schema or not has_engine(primary):
        return manager
    return type(primary)(primary.config, own_schema(), primary.name)


def _opened(place: object) -> tuple[EvaluationRecords, Store | None]:
    if isinstance(place, Database):
        made = MadeTables(place)
        return EvaluationsInTables(made), Store(TableEntries(made, _STORE))
    if isinstance(place, StoreFace):
        place = place.store
    if isinstance(place, Store):
        return EvaluationsInStore(place), place
    if isinstance(place, EvaluationRecords):
        return place, None
    if isinstance(place, StorageService):
        return EvaluationsInService(place), None
    raise StorageConfigurationError(
        "a place for evaluations is a DatabaseStorage, a FileStorage, an InMemoryStorage, any other store, a database"
        f" or a StorageService, not {type(place).__name__}"
    )

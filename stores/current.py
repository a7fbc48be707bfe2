"""The record stores of the current app. Calls have the rights of the application, and belong to the request's
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action
from database.extension import current_isthmus
from storage.core.errors import StorageConfigurationError

if TYPE_CHECKING:
    from stores.agents.clients import DatabaseClient
    from stores.evaluations.core import Evaluations
    from stores.experiments.core import Experiments


class RecordStore(NamedTuple):
    """A record store of an app.

    :ivar records: the client of agents, the evaluations or the experiments.
    :ivar access: who may read, write and delete over HTTP.
    """

    records: Any
    access: Mapping[Action, Access]


class RecordStores(dict[str, RecordStore]):
    """What an app has of the record stores, by their names."""


def current_agents() -> DatabaseClient:
    """The agents of the current app. :raises StorageConfigurationError: if the application does not declare them."""
    agents: DatabaseClient = current_record_store("agents").records
    return agents


def current_evaluations() -> Evaluations:
    """The evaluations of the current app. :raises StorageConfigurationError: as :func:`current_agents`."""
    evaluations: Evaluations = current_record_store("evaluations").records
    return evaluations


def current_experiments() -> Experiments:
    """The experiments of the current app. :raises StorageConfigurationError: as :func:`current_agents`."""
    experiments: Experiments = current_record_store("experiments").records
    return experiments


def current_record_store(name: str) -> RecordStore:
    """A record store of the current app. :raises StorageConfigurationError: as :func:`current_agents`."""
    isthmus = current_isthmus()
    found = isthmus[RecordStores].get(name) if RecordStores in isthmus else None
    if found is None:
        raise StorageConfigurationError(f'the application does not declare the record store "{name}" in RECORD_STORES')
    return found

"""The agents of an application: their client, and who may use it over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action
from database.extension import current_isthmus
from storage.core.errors import StorageConfigurationError
from stores.agents.clients import DatabaseClient


class AgentPart:
    """What an app has of agents.

    :param access: who may read, write and delete over HTTP.
    """

    def __init__(self, client: DatabaseClient, access: Mapping[Action, Access]) -> None:
        self.client = client
        self.access = access


def current_agents() -> DatabaseClient:
    """The agents of the current app. Calls have the rights of the application, and belong to the request's transaction.

    :raises StorageConfigurationError: if the application does not declare them.
    """
    isthmus = current_isthmus()
    if AgentPart not in isthmus:
        raise StorageConfigurationError('the application does not declare the record store "agents" in RECORD_STORES')
    return isthmus[AgentPart].client

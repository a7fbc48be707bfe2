"""The states of agents, as a workflow uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import shown
from stores.agents.client import StorageClient
from stores.agents.client import Value


class UnknownStateError(StorageNotFoundError, ValueError):
    """An agent has no state of this id."""


class StateManager:
    """Creates, changes and loads the states of agents.

    :param storage_client: where they are.
    :param cosmos_client: another name of the same, whatever the backend is.
    :raises StorageConfigurationError: unless one of them is given.
    """

    def __init__(
        self, storage_client: StorageClient | None = None, *, cosmos_client: StorageClient | None = None
    ) -> None:
        client = storage_client if storage_client is not None else cosmos_client
        if client is None or (storage_client is not None and cosmos_client is not None):
            raise StorageConfigurationError("give the client of a backend, as storage_client or as cosmos_client")
        self.storage_client = client

    @property
    def cosmos_client(self) -> StorageClient:
        """The client of the backend, by its other name."""
        return self.storage_client

    def create_initial_state(self, agent_id: str, state_id: str, state: Mapping[str, Any] | None = None) -> Value:
        """Store the first state, empty by default; if there is one already, it stays. Returns the stored one."""
        initial = dict(state or {})
        while not self.storage_client.create_state(agent_id, state_id, initial):
            present = self.storage_client.get_state(agent_id, state_id)
            # None if it was deleted in the meantime.
            if present is not None:
                return present
        return initial

    def save_state(self, agent_id: str, state_id: str, state: Value) -> None:
        """Store a state, replacing the present one."""
        self.storage_client.save_state(agent_id, state_id, state)

    def load_state(self, agent_id: str, state_id: str) -> Value | None:
        """A state, or None."""
        return self.storage_client.get_state(agent_id, state_id)

    def update_state(self, agent_id: str, state_id: str, updates: Mapping[str, Any]) -> Value:
        """Change some members of a state; returns the new one. Changes of others at the same time are kept.

        :raises ValueError: if there is none.
        """

        def change(present: Value | None) -> Value:
            if present is None:
                raise UnknownStateError(f"agent {shown(agent_id)} has no state {shown(state_id)}")
            return {**present, **updates}

        return self.storage_client.change_state(agent_id, state_id, change)

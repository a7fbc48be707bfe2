"""A place for evaluations as an application writes it: the methods of the documentation, and JSON in a dictionary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from stores import StorageService


class JsonService(StorageService):
    """Documents, events and metadata by id."""

    def __init__(self) -> None:
        self._evaluations: dict[str, str] = {}
        self._events: dict[str, str] = {}
        self._metadata: dict[str, str] = {}

    def store_evaluation(self, eval_id: str, data: dict[str, Any]) -> bool:
        self._evaluations[eval_id] = json.dumps(data)
        return True

    def retrieve_evaluation(self, eval_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self._evaluations.get(eval_id, "null"))
        return found

    def store_events(self, eval_id: str, events: Sequence[Mapping[str, Any]]) -> bool:
        self._events[eval_id] = json.dumps(list(events))
        return True

    def retrieve_events(self, eval_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._events.get(eval_id, "[]"))
        return found

    def store_metadata(self, eval_id: str, metadata: dict[str, Any]) -> bool:
        self._metadata[eval_id] = json.dumps(metadata)
        return True

    def retrieve_metadata(self, eval_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self._metadata.get(eval_id, "null"))
        return found

    def list_evaluations(self, limit: int = 100, offset: int = 0) -> list[str]:
        return list(self._evaluations)[offset : offset + limit]

    def delete_evaluation(self, eval_id: str) -> bool:
        for kept in (self._events, self._metadata):
            kept.pop(eval_id, None)
        return self._evaluations.pop(eval_id, None) is not None

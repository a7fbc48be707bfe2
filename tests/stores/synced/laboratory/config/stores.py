"""The stores of the application."""

from __future__ import annotations

from storage import StoreDeclaration
from stores import RecordStoreDeclaration

STORES: dict[str, StoreDeclaration] = {}
RECORD_STORES = {name: RecordStoreDeclaration() for name in ("agents", "evaluations", "experiments")}

"""The store of agents."""

from __future__ import annotations

from storage import StoreDeclaration
from stores import RecordStoreDeclaration

STORES: dict[str, StoreDeclaration] = {}
RECORD_STORES = {"agents": RecordStoreDeclaration()}

"""Evaluations, whose large outputs are in files."""

from __future__ import annotations

from storage import FileEntries
from storage import StoreDeclaration
from stores import RecordStoreDeclaration

STORES = {
    "outputs": StoreDeclaration(backend=lambda setup: FileEntries(setup.settings.instance_path / setup.name)),
}
RECORD_STORES = {
    "evaluations": RecordStoreDeclaration(blobs="outputs"),
}

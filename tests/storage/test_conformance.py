"""The page of backends has a line for each capability of a store, and a column for each backend."""

from __future__ import annotations

from dataclasses import fields

import storage
from storage.core.capabilities import StoreCapabilities
from tests.storage.conformance import KINDS
from tests.storage.conformance import LINES


def test_every_capability_has_a_line_and_every_backend_a_column() -> None:
    assert {field for field, _, _ in LINES} == {field.name for field in fields(StoreCapabilities)}
    assert {kind.__name__ for kind in KINDS} == {name for name in storage.__all__ if name.endswith("Entries")}

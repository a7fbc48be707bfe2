"""The tables of evaluations, and no others."""

from __future__ import annotations

from database.columns import table_metadata
from stores import declare_evaluations

metadata = table_metadata()

declare_evaluations(metadata)

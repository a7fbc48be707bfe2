"""Adopted tables: declared ones that a database had before, and that nothing of ours changes unless asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

ADOPTED: Final = "adopted"
"""The key in a declared table's ``info`` that says so."""


def is_adopted(table: sa.Table) -> bool:
    """Whether the table was there before: no migration, trigger, policy or grant of ours is made for it unasked."""
    return bool(table.info.get(ADOPTED))


def own(tables: Iterable[sa.Table]) -> list[sa.Table]:
    """The tables that our migrations make."""
    return [table for table in tables if not is_adopted(table)]

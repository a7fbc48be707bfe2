"""The filters of a listing as the portable query, which has one meaning in databases and in memory."""

from __future__ import annotations

from typing import Final

from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import after as behind
from storage.core.keys import without_nul
from stores.evaluations.meaning.values import EvaluationFilters
from stores.evaluations.places.records import TEXTS
from stores.evaluations.places.records import Position

NEWEST: Final = (Order("created_at", descending=True), Order("id", descending=True))
"""The order of listings."""


def condition(filters: EvaluationFilters, after: Position | None = None) -> Filter | None:
    """What holds for the rows of evaluations, whose ids are without NUL; None if anything may.

    :param after: only those behind this one.
    """
    parts: list[Filter] = []
    if filters.statuses is not None:
        statuses = list(filters.statuses)
        # One value leads to the index in the order of the listing.
        parts.append(Where("status", "eq", statuses[0]) if len(statuses) == 1 else Where("status", "in", statuses))
    if filters.since is not None:
        parts.append(Where("created_at", "gte", filters.since))
    if filters.until is not None:
        parts.append(Where("created_at", "lt", filters.until))
    if filters.metadata:
        parts.append(Where("metadata", "contains", dict(filters.metadata)))
    if filters.text:
        parts.append(_containing(filters.text))
    if after is not None:
        created_at, id_ = after
        # The time is said twice, because databases find the place in an index by this one.
        parts += [Where("created_at", "lte", created_at), behind(NEWEST, (created_at, without_nul(id_)))]
    return And(tuple(parts)) if parts else None


def _containing(text: str) -> Filter:
    literal = "".join(f"\\{each}" if each in "\\%_" else each for each in text)
    return Or(tuple(Where(column, "ilike", f"%{literal}%") for column in ("id", *TEXTS.values())))

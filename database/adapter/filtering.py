"""The filters of ``table()``, named as in Supabase's client."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

from database.core.errors import InvalidQuery
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Operator
from database.core.query.filters import Where
from database.core.query.filters import is_exactly

_IS: Mapping[str, bool | None] = {"null": None, "true": True, "false": False}


class FilteredQuery:
    """A query's conditions on its rows, joined by *and*."""

    _filters: list[Filter]
    _negated = False

    def eq(self, column: str, value: Any) -> Self:
        """The column equals the value."""
        return self._filter(column, "eq", value)

    def neq(self, column: str, value: Any) -> Self:
        """The column is not null and differs from the value."""
        return self._filter(column, "neq", value)

    def gt(self, column: str, value: Any) -> Self:
        """The column is greater than the value."""
        return self._filter(column, "gt", value)

    def gte(self, column: str, value: Any) -> Self:
        """The column is the value or greater."""
        return self._filter(column, "gte", value)

    def lt(self, column: str, value: Any) -> Self:
        """The column is less than the value."""
        return self._filter(column, "lt", value)

    def lte(self, column: str, value: Any) -> Self:
        """The column is the value or less."""
        return self._filter(column, "lte", value)

    def in_(self, column: str, values: Sequence[Any]) -> Self:
        """The column equals one of the values."""
        return self._filter(column, "in", values)

    def is_null(self, column: str, wanted: bool = True) -> Self:
        """The column is null, or with False is not."""
        return self._filter(column, "is_null", wanted)

    def is_(self, column: str, value: bool | str | None) -> Self:
        """The column is null for None, and for True or False that value; with :attr:`not_`, everything else.

        :param value: as text, too: ``"null"``, ``"not_null"``, ``"true"`` or ``"false"``.
        """
        found = _IS.get(value, value) if isinstance(value, str) else value
        if found == "not_null":
            return self.where(Where(column, "is_null", False))
        if found is not None and not isinstance(found, bool):
            raise InvalidQuery(f"is_ on column {column!r} must have the value None, True or False")
        return self.where(is_exactly(column, found))

    def match(self, values: Mapping[str, Any]) -> Self:
        """Each of the columns equals its value."""
        for column, value in values.items():
            self.eq(column, value)
        return self

    def like(self, column: str, pattern: str) -> Self:
        """The text matches a pattern of ``%`` and ``_``, upper and lower case told apart."""
        return self._filter(column, "like", pattern)

    def ilike(self, column: str, pattern: str) -> Self:
        """The text matches a pattern; A to Z equal a to z."""
        return self._filter(column, "ilike", pattern)

    def contains(self, column: str, part: Any) -> Self:
        """The text contains a substring, the JSON contains the given JSON, or the list has all the given items."""
        return self._filter(column, "contains", part)

    def contained_by(self, column: str, items: Sequence[Any]) -> Self:
        """The list has no items besides these."""
        return self._filter(column, "contained_by", items)

    def overlaps(self, column: str, items: Sequence[Any]) -> Self:
        """The list has one of these items at least."""
        return self._filter(column, "overlaps", items)

    def where(self, condition: Filter) -> Self:
        """Any condition, such as ``Where("a", "eq", 1) | Where("b", "gt", 2)``."""
        self._filters.append(Not(condition) if self._negated else condition)
        self._negated = False
        return self

    @property
    def not_(self) -> Self:
        """Negate the next filter, as in ``not_.eq("formula", "H2O")``. As in SQL, a comparison with a null stays
        unknown, so that the row is not selected.
        """
        self._negated = not self._negated
        return self

    def _condition(self) -> Filter | None:
        """All filters joined by *and*; None if there are none."""
        if self._negated:
            raise InvalidQuery("not_ must be followed by a filter, such as not_.eq(column, value)")
        if len(self._filters) > 1:
            return And(tuple(self._filters))
        return self._filters[0] if self._filters else None

    def _filter(self, column: str, operator: Operator, value: Any) -> Self:
        if self._negated:
            return self.where(Where(column, operator, value))
        self._filters.append(Where(column, operator, value))
        return self

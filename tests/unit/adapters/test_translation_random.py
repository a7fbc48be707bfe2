"""Random queries written as SQL have the answer that the query itself has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import note
from hypothesis import settings
from hypothesis import strategies as st

from database.backends.memory import MemoryAdapter
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Sql
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Row
from tests.contract.queries import generated
from tests.contract.tables import SCHEMA

TABLES = 30
QUERIES = 10
OF_ARRAYS = {"contains": "@>", "contained_by": "<@", "overlaps": "&&"}
SIGNS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@pytest.mark.parametrize("queried", [generated.selects, generated.groups], ids=["rows", "groups"])
def test_random_queries_as_text_have_the_same_answer(queried: Callable[[list[Row]], st.SearchStrategy[Select]]) -> None:
    things = MemoryAdapter(schema=SCHEMA)
    asked: set[str] = set()

    @settings(max_examples=TABLES)
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        rows = data.draw(generated.rows())
        things.run(Delete("things", where=Where("id", "is_null", False)))
        things.run(Insert("things", rows))
        for _ in range(QUERIES):
            select = data.draw(queried(rows))
            select = replace(select, count=False, where=None if select.where is None else _expressible(select.where))
            writer = _Writer(Random(data.draw(st.integers(0, 2**32))))
            text = writer.select(select)
            note(text)
            asked.add(f"{rows} {text}")
            answer = things.run(Sql(text, writer.params))
            assert generated.typed(answer.rows) == generated.typed(things.run(select).rows)
            assert answer.count == len(answer.rows)

    ask()
    # Hypothesis repeats itself, by chance more or less often. That it asked many different things is what matters.
    assert len(asked) >= TABLES * QUERIES // 6


def _expressible(where: Filter) -> Filter:
    """The filter with ``like`` in place of ``contains`` on text, for which PostgreSQL has no operator."""
    if isinstance(where, Not):
        return Not(_expressible(where.part))
    if isinstance(where, And | Or):
        return type(where)(tuple([_expressible(part) for part in where.parts]))
    assert isinstance(where, Where)
    if where.operator != "contains" or where.column == "data" or isinstance(where.value, list):
        return where
    escaped = "".join(f"\\{character}" if character in "%_\\" else character for character in where.value)
    return Where(where.column, "like", f"%{escaped}%")


class _Writer:
    """Writes a query as SQL, its values by chance as literals or as parameters, with as few parentheses as it may."""

    def __init__(self, random: Random) -> None:
        self.params: list[Any] = []
        self._random = random

    def select(self, select: Select) -> str:
        """The text; its parameters are in ``params`` then."""
        columns = ", ".join(select.columns or select.group or ["*"]) + (", count(*)" if select.group else "")
        parts = [f"select {columns} from {select.table}"]
        if select.where is not None:
            parts.append(f"where {self._filter(select.where)}")
        if select.group:
            parts.append(f"group by {', '.join(select.group)}")
        if select.order:
            parts.append("order by " + ", ".join(map(_sort_key, select.order)))
        for word, number in (("limit", select.limit), ("offset", select.offset)):
            if number is not None:
                parts.append(f"{word} {self._value(number)}")
        return "\n".join(parts)

    def _filter(self, where: Filter) -> str:
        if isinstance(where, Not):
            part = self._filter(where.part)
            return f"not {part}" if isinstance(where.part, Where | Not) else f"not ({part})"
        if isinstance(where, And | Or):
            return self._joined(where)
        assert isinstance(where, Where)
        return self._condition(where)

    def _joined(self, where: And | Or) -> str:
        if not where.parts:
            return "true" if isinstance(where, And) else "false"
        if isinstance(where, Or):
            return " or ".join(map(self._filter, where.parts))
        return " and ".join(
            f"({self._filter(part)})" if isinstance(part, Or) else self._filter(part) for part in where.parts
        )

    def _condition(self, where: Where) -> str:
        column, operator, value = where.column, where.operator, where.value
        if operator == "is_null":
            return f"{column} is {'' if value else 'not '}null"
        if operator == "in":
            return f"{column} in ({', '.join(map(self._value, value))})"
        if column == "data":
            return f"{column} @> {self._value(orjson.dumps(value).decode())}"
        if isinstance(value, list):
            return f"{column} {OF_ARRAYS.get(operator) or SIGNS[operator]} {self._value(value)}"
        return f"{column} {SIGNS.get(operator, operator)} {self._value(value)}"

    def _value(self, value: Any) -> str:
        if isinstance(value, bytes | list | timedelta) or self._random.random() < 0.5:
            self.params.append(value)
            return "?"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return repr(value)
        if isinstance(value, datetime):
            return f"'{value.isoformat()}'::timestamp{'tz' if value.tzinfo else ''}"
        return "'" + str(value).replace("'", "''") + "'"


def _sort_key(key: Order) -> str:
    direction = " desc" if key.descending else ""
    return f"{key.column}{direction}{f' nulls {key.nulls}' if key.nulls else ''}"

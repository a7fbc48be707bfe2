"""Random operations of a caller never return or change a row of another user."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from typing import Final

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.adapter.base import DatabaseAdapter
from database.backends.buffered.backend import BufferedBackend
from database.backends.memory import MemoryAdapter
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import RequestError
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.core.result import Result
from database.core.result import Row
from tests.contract.backends import Backend
from tests.contract.callers import ADA
from tests.contract.callers import ADMIN
from tests.contract.callers import BOB

SECRET: Final = "Bob's"
ROWS: Final = [
    {"id": "a1", "owner_id": ADA.subject, "title": "one"},
    {"id": "a2", "owner_id": ADA.subject, "title": "two"},
    {"id": "b1", "owner_id": BOB.subject, "title": SECRET},
    {"id": "b2", "owner_id": BOB.subject, "title": SECRET},
]
EXAMPLES: Final = 60
EXAMPLES_OVER_HTTP: Final = 12

_ids = st.sampled_from(["a1", "b1", "b2", "c1"])
_subjects = st.sampled_from([ADA.subject, BOB.subject])
_conditions = st.one_of(
    _ids.map(lambda one: Where("id", "eq", one)),
    st.lists(_ids, max_size=3).map(lambda ids: Where("id", "in", ids)),
    _subjects.map(lambda subject: Where("owner_id", "eq", subject)),
    _subjects.map(lambda subject: Where("owner_id", "neq", subject)),
    st.sampled_from([Where("title", "like", "%"), Where("title", "eq", SECRET), Where("version", "gte", 1)]),
)
_filters: st.SearchStrategy[Filter] = st.recursive(
    _conditions,
    lambda inner: st.one_of(
        st.builds(lambda one, other: one | other, inner, inner),
        st.builds(lambda one, other: one & other, inner, inner),
        inner.map(lambda one: ~one),
    ),
    max_leaves=4,
)
_values = st.fixed_dictionaries({"title": st.just("new")}, optional={"owner_id": _subjects})
_rows = st.lists(
    st.fixed_dictionaries({"title": st.just("new"), "id": _ids}, optional={"owner_id": _subjects}),
    min_size=1,
    max_size=3,
    unique_by=lambda row: row["id"],
)
_targets = st.one_of(
    st.fixed_dictionaries({"id": _ids}, optional={"where": _filters, "expected_version": st.integers(1, 2)}),
    st.fixed_dictionaries({"where": _filters}),
)
_texts = st.sampled_from(
    [
        "select * from {}",
        "select title, count(*) from {} group by title",
        "update {} set title = 'new' where title <> ''",
        "delete from {} where id in ('a1', 'b1')",
        "insert into {} (id, title, owner_id) values ('c1', 'new', '" + str(BOB.subject) + "')",
        "insert into {} (id, title) values ('b1', 'new') on conflict (id) do update set title = excluded.title",
    ]
)


def _single(table: str) -> st.SearchStrategy[Operation]:
    return st.one_of(_operation(table), _texts.map(lambda text: Sql(text.format(table))))


def _operation(table: str) -> st.SearchStrategy[Operation]:
    return st.one_of(
        _ids.map(lambda one: Get(table, one)),
        st.builds(lambda where, count: Select(table, where=where, count=count), _filters, st.booleans()),
        _filters.map(lambda where: Select(table, where=where, group=("title",))),
        _rows.map(lambda rows: Insert(table, rows)),
        _rows.map(lambda rows: Upsert(table, rows)),
        st.builds(lambda values, target: Update(table, values, **target), _values, _targets),
        _targets.map(lambda target: Delete(table, **target, returning=True)),
    )


def _requests(single: st.SearchStrategy[Operation]) -> st.SearchStrategy[tuple[bool, list[Operation]]]:
    operations = st.one_of(single, st.lists(single, min_size=1, max_size=2).map(lambda all_: Batch(tuple(all_))))
    return st.tuples(st.booleans(), st.lists(operations, min_size=1, max_size=3))


@pytest.mark.parametrize("table", ["diaries", "tickets"])
def test_nobody_sees_or_changes_what_is_anothers(backend: Backend, table: str) -> None:
    adapter = backend.adapter

    @_examples(backend)
    @given(request=_requests(_single(table)))
    def ask(request: tuple[bool, list[Operation]]) -> None:
        backend.clear()
        adapter.run(Insert(table, ROWS))
        before = _of(adapter, table, BOB.subject)
        with acting_as(ADA):
            for result in _answers(adapter, *request):
                _assert_nothing_of_bob(result)
        assert _of(adapter, table, BOB.subject) == before

    ask()


def test_who_is_admitted_to_all_rows_acts_as_the_application_would(backend: Backend) -> None:
    """The admin has the role and permission that the table requires; a memory database gives the expected results."""
    right = MemoryAdapter(schema=backend.adapter.schema)

    @_examples(backend)
    @given(request=_requests(_operation("tickets")))
    def ask(request: tuple[bool, list[Operation]]) -> None:
        backend.clear()
        right.run(Delete("tickets", where=Where("id", "is_null", False)))
        for adapter in (right, backend.adapter):
            adapter.run(Insert("tickets", ROWS))
        together, operations = request
        if together:
            expected, found = (
                _in_turn(one, [(ADMIN, each) for each in operations]) for one in (right, backend.adapter)
            )
            _assert_alike(found, expected)
        else:
            with acting_as(ADMIN):
                found = [_shown(result) for result in _answers(backend.adapter, *request)]
            assert found == [_shown(result) for result in _answers(right, *request)]
        assert _shown(backend.adapter.run(Select("tickets"))) == _shown(right.run(Select("tickets")))

    ask()


def test_several_callers_in_one_transaction_are_each_themselves(backend: Backend) -> None:
    """A memory database, which has only the tables' own rules, gives the expected results."""
    right = MemoryAdapter(schema=backend.adapter.schema)
    turn = st.tuples(st.sampled_from([ADA, BOB, SERVICE]), _operation("diaries"))

    @_examples(backend)
    @given(turns=st.lists(turn, min_size=2, max_size=5))
    def ask(turns: list[tuple[Identity, Operation]]) -> None:
        backend.clear()
        right.run(Delete("diaries", where=Where("id", "is_null", False)))
        for adapter in (right, backend.adapter):
            adapter.run(Insert("diaries", ROWS))
        _assert_alike(_in_turn(backend.adapter, turns), _in_turn(right, turns))
        assert _shown(backend.adapter.run(Select("diaries"))) == _shown(right.run(Select("diaries")))

    ask()


def _in_turn(adapter: DatabaseAdapter, turns: list[tuple[Identity, Operation]]) -> list[Any]:
    """The results of one transaction, and its error, if any."""
    answers: list[Any] = []
    try:
        with as_application(), adapter.transaction():
            for identity, operation in turns:
                with acting_as(identity):
                    answers.append(_shown(adapter.run(operation)))
    except RequestError as error:
        answers.append(error)
    return answers


def _assert_alike(found: list[Any], expected: list[Any]) -> None:
    """The results are equal; if one transaction was refused, so was the other, at the latest at its commit."""
    if isinstance(expected[-1], RequestError):
        assert isinstance(found[-1], RequestError)
        assert found[: len(expected) - 1] == expected[:-1]
    else:
        assert found == expected


def _examples(backend: Backend) -> Callable[[Any], Any]:
    return settings(
        max_examples=EXAMPLES_OVER_HTTP
        if issubclass(backend.case.adapter.backend_class, BufferedBackend)
        else EXAMPLES,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def _shown(result: Result) -> Any:
    """A result without its times, and without an order if the query has none."""
    rows = [{name: value for name, value in row.items() if not name.endswith("_at")} for row in result.rows]
    return sorted(map(repr, rows)), result.count, [_shown(part) for part in result.parts]


def _answers(adapter: DatabaseAdapter, together: bool, operations: list[Operation]) -> list[Result]:
    """The results of the operations, up to the first that is refused in a transaction."""
    results: list[Result] = []
    if together:
        with suppress(RequestError), adapter.transaction():
            results += [adapter.run(operation) for operation in operations]
        return results
    for operation in operations:
        with suppress(RequestError):
            results.append(adapter.run(operation))
    return results


def _assert_nothing_of_bob(result: Result) -> None:
    assert str(BOB.subject) not in str(result.rows)
    assert SECRET not in str(result.rows)
    # Ada can have a1, a2 and c1; and in a transaction that is refused at its commit, a b1 and a b2 of her own.
    assert result.parts or (result.count or 0) <= 5
    for row in result.rows:
        assert row.get("owner_id", ADA.subject) == ADA.subject
    for part in result.parts:
        _assert_nothing_of_bob(part)


def _of(adapter: DatabaseAdapter, table: str, subject: str | None) -> list[Row]:
    return adapter.run(Select(table, where=Where("owner_id", "eq", subject))).rows

"""Whatever somebody does, they never see a row of another's, and never change one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from typing import Final

from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.adapters.base import DatabaseAdapter
from database.adapters.buffered.adapter import BufferedAdapter
from database.core.context import acting_as
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
from database.core.query import Filter
from database.core.query import Where
from database.core.result import Result
from database.core.result import Row
from tests.contract.backends import Backend
from tests.contract.callers import ADA
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
        "select * from diaries",
        "select title, count(*) from diaries group by title",
        "update diaries set title = 'new' where title <> ''",
        "delete from diaries where id in ('a1', 'b1')",
        "insert into diaries (id, title, owner_id) values ('c1', 'new', '" + str(BOB.subject) + "')",
        "insert into diaries (id, title) values ('b1', 'new') on conflict (id) do update set title = excluded.title",
    ]
)


def _targeted(kind: type[Update] | type[Delete], target: dict[str, Any], values: Row) -> Operation:
    return Update("diaries", values, **target) if kind is Update else Delete("diaries", **target, returning=True)


_single: st.SearchStrategy[Operation] = st.one_of(
    _ids.map(lambda one: Get("diaries", one)),
    st.builds(lambda where, count: Select("diaries", where=where, count=count), _filters, st.booleans()),
    _filters.map(lambda where: Select("diaries", where=where, group=("title",))),
    _rows.map(lambda rows: Insert("diaries", rows)),
    _rows.map(lambda rows: Upsert("diaries", rows)),
    st.builds(_targeted, st.sampled_from([Update, Delete]), _targets, _values),
    _texts.map(Sql),
)
_operations = st.one_of(_single, st.lists(_single, min_size=1, max_size=2).map(lambda all_: Batch(tuple(all_))))
_requests = st.tuples(st.booleans(), st.lists(_operations, min_size=1, max_size=3))


def test_nobody_sees_or_changes_what_is_anothers(backend: Backend) -> None:
    adapter = backend.adapter
    over_http = issubclass(backend.case.adapter, BufferedAdapter)

    @settings(
        max_examples=EXAMPLES_OVER_HTTP if over_http else EXAMPLES,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(request=_requests)
    def ask(request: tuple[bool, list[Operation]]) -> None:
        backend.clear()
        adapter.run(Insert("diaries", ROWS))
        before = _of(adapter, BOB.subject)
        with acting_as(ADA):
            for result in _answers(adapter, *request):
                _assert_nothing_of_bob(result)
        assert _of(adapter, BOB.subject) == before

    ask()


def _answers(adapter: DatabaseAdapter, together: bool, operations: list[Operation]) -> list[Result]:
    """What is answered to the operations, up to the first that is refused in a transaction."""
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
    # Ada can have a1, a2 and c1.
    assert result.parts or (result.count or 0) <= 3
    for row in result.rows:
        assert row.get("owner_id", ADA.subject) == ADA.subject
    for part in result.parts:
        _assert_nothing_of_bob(part)


def _of(adapter: DatabaseAdapter, subject: str | None) -> list[Row]:
    return adapter.run(Select("diaries", where=Where("owner_id", "eq", subject))).rows

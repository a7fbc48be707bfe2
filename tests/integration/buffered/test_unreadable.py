"""Documents of a deployment whose schema is not enforced: in any column may stand a value of any type, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import closing
from contextlib import nullcontext
from typing import Any

import pytest
from convex import ConvexInt64

from database.backends.convex import ConvexAdapter
from database.core.errors import UnreadableRecord
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Result
from tests.contract.foreign import MISSING
from tests.contract.foreign import ConvexProgram
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with

_SPOILED: dict[str, list[Any]] = {
    "label": [MISSING, None, 5.0, True, ["a"], {"a": "b"}, b"a", ConvexInt64(5)],
    "amount": ["5", 5.0, False, float("nan")],
    "ratio": ["5", ConvexInt64(5), False],
    "done": ["true", 1.0, ConvexInt64(1)],
    "seen": [5.0, "1999", "soon", [], ConvexInt64(0)],
    "version": [MISSING, "1", 1.0],
}
BAD = {
    f"n{number:02}": spoiled
    for number, spoiled in enumerate((column, value) for column, values in _SPOILED.items() for value in values)
}
GOOD = ["a", "z"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConvexDeployment]:
    functions = functions_with(SCHEMA, tmp_path_factory.mktemp("unchecked"))
    schema = functions / "schema.ts"
    text, end = schema.read_text(), "});\n"
    assert text.endswith(end)
    schema.write_text(text.removesuffix(end) + "}, { schemaValidation: false });\n")
    with available(ConvexDeployment, functions) as running:
        yield running


@pytest.fixture
def adapter(deployment: ConvexDeployment) -> Iterator[ConvexAdapter]:
    """An adapter to good and bad documents."""
    deployment.reset()
    config = {"url": deployment.url, "key": deployment.deploy_key, "timeout": 20, "circuit_breaker_threshold": 1}
    made = ConvexAdapter({**config, "retry_count": 0}, SCHEMA)
    rows = [{"seen": "2026-01-01T00:00:00Z", "amount": 5, "ratio": 0.5, "done": True}, {}]
    made.run(Insert("things", [thing(id_, **row) for id_, row in zip(GOOD, rows, strict=True)]))
    with closing(ConvexProgram(deployment.url, deployment.deploy_key)) as program:
        for id_, (column, value) in BAD.items():
            program.write(id_, column, value)
    yield made
    made.disconnect()


@pytest.fixture(params=["alone", "in a transaction"])
def around(request: pytest.FixtureRequest, adapter: ConvexAdapter) -> AbstractContextManager[object]:
    return nullcontext() if request.param == "alone" else adapter.transaction()


def named(result: Result) -> dict[str | None, str]:
    return {bad.id: bad.column for bad in result.unreadable}


EXPECTED: dict[str | None, str] = {id_: column for id_, (column, _) in BAD.items()}


def test_each_is_named(adapter: ConvexAdapter, around: AbstractContextManager[object]) -> None:
    with around:
        result = adapter.run(Select("things", count=True))
        assert [row["id"] for row in result] == GOOD
        assert named(result) == EXPECTED
        assert result.count == len(GOOD) + len(BAD)
        for id_, (column, _) in BAD.items():
            with pytest.raises(UnreadableRecord, match=f"column '{column}'"):
                adapter.get("things", id_)


@pytest.mark.parametrize("column", ["label", "amount", "ratio", "done", "seen", "version"])
def test_a_transaction_sees_what_is_seen_without(adapter: ConvexAdapter, column: str) -> None:
    operands = {"label": "m", "amount": 4, "ratio": 0.25, "done": True, "seen": "2025-01-01T00:00:00Z", "version": 1}
    operand = operands[column]
    filters = [
        None,
        Where(column, "gt", operand),
        Where(column, "lte", operand),
        Where(column, "neq", operand),
        ~Where(column, "in", [operand]),
        *([Where(column, "contains", "5"), Where(column, "ilike", "%5%")] if column == "label" else []),
    ]
    operations: list[Operation] = [
        Select("things", where=where, order=(Order(column, descending),), limit=limit)
        for where in filters
        for descending in (False, True)
        for limit in (None, 3)
    ]
    alone = [adapter.run(operation) for operation in operations]
    with adapter.transaction():
        together = [adapter.run(operation) for operation in operations]
    assert [result.rows for result in together] == [result.rows for result in alone]
    assert [named(result) for result in together] == [named(result) for result in alone]


def test_each_can_be_mended(adapter: ConvexAdapter) -> None:
    good = {"label": "mended", "amount": 1, "ratio": 1.0, "done": True, "seen": "2026-01-01T00:00:00Z"}
    with adapter.transaction():
        adapter.run(Update("things", good, where=Where("rank", "eq", 0)))
    result = adapter.run(Select("things"))
    assert not result.unreadable
    assert len(result) == len(GOOD) + len(BAD)
    # A version that was none counts on from 0.
    assert {row["version"] for row in result if EXPECTED.get(row["id"]) == "version"} == {1}
    assert {row["version"] for row in result if EXPECTED.get(row["id"]) != "version"} == {2}


def test_each_can_be_deleted(adapter: ConvexAdapter) -> None:
    for id_ in list(BAD)[:4]:
        assert adapter.run(Delete("things", id=id_, returning=False)).count == 1
    assert adapter.run(Delete("things", where=Where("rank", "eq", 0))).count == len(GOOD) + len(BAD) - 4
    assert adapter.run(Select("things", count=True)).count == 0


def test_a_version_that_is_none_is_not_the_expected_one(adapter: ConvexAdapter) -> None:
    bad = next(id_ for id_, (column, _) in BAD.items() if column == "version")
    with pytest.raises(UnreadableRecord, match="column 'version'"):
        adapter.run(Update("things", {"title": "new"}, id=bad, expected_version=1))


@pytest.mark.parametrize("value", [MISSING, 5.0])
def test_one_without_an_id_is_named_and_left_alone(
    adapter: ConvexAdapter, deployment: ConvexDeployment, value: Any
) -> None:
    with closing(ConvexProgram(deployment.url, deployment.deploy_key)) as program:
        program.write("nobody", "id", value)
    nobody: dict[str | None, str] = {None: "id"}
    for around in (nullcontext(), adapter.transaction()):
        with around:
            assert named(adapter.run(Select("things"))) == EXPECTED | nobody
            assert [row["label"] for row in adapter.run(Select("things", ("label",), Where("label", "eq", "nobody")))]
    result = adapter.run(Delete("things", where=Where("rank", "eq", 0)))
    assert result.count == len(GOOD) + len(BAD)
    assert [(bad.id, bad.column) for bad in adapter.run(Select("things")).unreadable] == [(None, "id")]

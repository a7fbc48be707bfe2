"""What a deployment refuses although the functions would do it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.convex_server.support import Caller


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        (dict.fromkeys((f"f{index}" for index in range(1025)), 0), "Object has too many fields"),
        ([0] * 8193, "Array length is too long"),
        ({"é": 1}, "non-control ASCII"),
        ({"a\nb": 1}, "non-control ASCII"),
        ({"a": 1, "$b": 1}, "reserved"),
        (nested(16), "Document is too nested"),
        ("x" * 2**20, "Value is too large"),
    ],
    ids=["fields", "elements", "not-ascii", "control", "dollar", "depth", "size"],
)
def test_a_value_beyond_the_limits_is_refused(caller: Caller, extra: Any, problem: str) -> None:
    message = caller.error("mutation", "notes:addExtra", extra=extra)
    assert problem in message
    assert caller.notes() == []


@pytest.mark.parametrize(
    "extra",
    [dict.fromkeys((f"f{index}" for index in range(1024)), 0), [0] * 8192, nested(15), {"_a b-c": 1, "": 2}],
    ids=["fields", "elements", "depth", "names"],
)
def test_a_value_at_the_limits_is_stored(caller: Caller, extra: Any) -> None:
    caller.value("mutation", "notes:addExtra", extra=extra)
    assert caller.value("query", "notes:find", text="extra")["extra"] == extra


@pytest.mark.parametrize(
    ("value", "problem"),
    [([0] * 8193, "Array length is too long"), (nested(70), "Value is too nested"), ({"é": 1}, "non-control ASCII")],
    ids=["elements", "depth", "not-ascii"],
)
def test_arguments_beyond_the_limits_are_refused(caller: Caller, value: Any, problem: str) -> None:
    message = caller.error("query", "deep/probe:echo", value=value)
    assert "Invalid arguments for deep/probe:echo" in message
    assert problem in message


def test_a_result_of_more_than_16_mebibytes_is_refused(caller: Caller) -> None:
    assert "Value is too large" in caller.error("query", "deep/probe:repeat", times=2**24)
    caller.value("query", "deep/probe:repeat", times=2**24 - 100)


def test_an_oversized_document_is_refused(caller: Caller) -> None:
    assert "Value is too large" in caller.error("mutation", "notes:addOversized", characters=2**20)
    caller.value("mutation", "notes:addOversized", characters=2**20 - 200)


@pytest.mark.parametrize("field", ["_hidden", "has space", "9lives", "x" * 65])
def test_a_column_name_that_is_no_identifier_is_refused(caller: Caller, field: str) -> None:
    assert f"Field '{field}' is not allowed" in caller.error("mutation", "notes:addField", field=field)


def test_system_tables_cannot_be_written(caller: Caller) -> None:
    assert "Cannot write to system table" in caller.error("mutation", "notes:writeSystemTable")


def test_a_result_beyond_the_limits_undoes_the_mutation(caller: Caller) -> None:
    assert "Array length is too long" in caller.error("mutation", "notes:addAndReturnMany", length=8193)
    assert caller.notes() == []
    caller.value("mutation", "notes:addAndReturnMany", length=8192)
    assert caller.notes() == ["returned"]


def test_a_mutation_writes_16000_documents_at_most(caller: Caller) -> None:
    assert "Wrote too many documents" in caller.error("mutation", "notes:addMany", count=16_001)
    assert caller.notes() == []
    caller.value("mutation", "notes:addMany", count=16_000)


def test_a_query_reads_4096_ranges_at_most(caller: Caller) -> None:
    assert "Too many index ranges read" in caller.error("query", "notes:readMany", times=4_097)
    caller.value("query", "notes:readMany", times=4_096)


def test_a_body_of_more_than_16_mebibytes_is_refused(caller: Caller) -> None:
    response = caller.send("query", "deep/probe:echo", args={"value": "x" * 2**24})
    assert response.status_code == 200
    response = caller.send("query", "deep/probe:echo", args={"value": "x" * (2**24 + 2000)})
    assert (response.status_code, response.json()["code"]) == (400, "BadJsonBody")

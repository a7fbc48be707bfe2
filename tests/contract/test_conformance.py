"""``docs/reference/backends.md`` lists the features of every backend that the contract tests."""

from __future__ import annotations

from dataclasses import fields

import pytest

from database.core.capabilities import Capabilities
from tests.contract import conformance
from tests.contract import test_refusals
from tests.contract.backends import BACKENDS
from tests.contract.backends import BackendCase
from tests.contract.conformance import LINES
from tests.contract.conformance import PAGE


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == conformance.page(), "`make conformance` brings it up to date"


def test_every_capability_has_a_line() -> None:
    assert sorted(line.capability for line in LINES) == sorted(field.name for field in fields(Capabilities))


@pytest.mark.parametrize("case", BACKENDS, ids=lambda case: case.name)
def test_what_a_backend_lacks_is_listed(case: BackendCase) -> None:
    name = case.adapter.__name__.removesuffix("Adapter")
    listed = next(line for line in conformance.page().splitlines() if line.startswith(f"* `{name}`: "))
    assert ("not translated" in listed) == (case.capabilities.sql == "translated")
    assert ("calling functions" in listed) == (not case.capabilities.calls)
    assert ("subscriptions" in listed) == (not case.capabilities.changes)
    assert ("before the commit" in listed) == (not case.capabilities.immediate_constraints)
    assert f"deeper than {case.capabilities.json_depth} levels" in listed


def test_what_is_said_not_to_be_translated_is_refused() -> None:
    assert conformance.UNTRANSLATED.keys() <= {construct for _, construct in test_refusals.UNTRANSLATED}

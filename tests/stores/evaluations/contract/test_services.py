"""The common tests of ``StorageService``, on every place."""

from __future__ import annotations

import unittest
from pathlib import Path

import stores
from stores import EvaluationStorage
from stores import StorageService
from tests.stores.evaluations.places import EvaluationPlace
from tests.stores.evaluations.services import JsonService

TESTS = 9


def test_the_common_tests(place: EvaluationPlace, tmp_path: Path) -> None:
    run(lambda number: EvaluationStorage(*place.make(tmp_path / str(number))))


def test_a_service_of_ones_own_passes_them_itself() -> None:
    assert JsonService.get_test_suite() is stores.StorageServiceSuite
    run(lambda _: JsonService())


def run(make: object) -> None:
    class Tests(stores.StorageServiceSuite):
        numbers = iter(range(100))

        def make(self) -> StorageService:
            made: StorageService = make(next(self.numbers))  # type: ignore[operator]
            return made

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Tests).run(result)
    assert (result.testsRun, result.errors, result.failures) == (TESTS, [], [])

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Barrier
from types import ModuleType

import pytest

from database.core.first_use import load

THREADS = 8


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from database.core.first_use import on_first_use\n"
        "times = []\n"
        '__all__ = ["Thing", "heavy"]\n'
        '__getattr__ = on_first_use(__name__, {"Thing": "heavy", "heavy": "heavy"})\n'
    )
    (folder / "heavy.py").write_text("import late\nlate.times.append(1)\nclass Thing: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("late", "late.heavy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module("late")


def test_a_module_is_imported_once_by_whoever_comes_first(package: ModuleType) -> None:
    together = Barrier(THREADS)

    def use(_: int) -> object:
        together.wait(timeout=30)
        return package.Thing

    assert package.times == []
    with ThreadPoolExecutor(THREADS) as threads:
        found = set(threads.map(use, range(THREADS)))
    assert found == {sys.modules["late.heavy"].Thing}
    assert package.heavy is sys.modules["late.heavy"]
    assert package.times == [1]


def test_all_names_can_be_loaded_before_they_are_used(package: ModuleType) -> None:
    load(package)
    assert {"Thing", "heavy"} <= vars(package).keys()


def test_another_name_is_none_of_the_package(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="module 'late' has no attribute 'Other'"):
        _ = package.Other
    assert package.times == []

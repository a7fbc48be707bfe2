"""Evaluations in the tables of the sample application."""

from __future__ import annotations

from pathlib import Path

import pytest

from database.declared import DEFAULT_PACKAGE
from stores import create_storage_manager


def test_in_production_a_database_is_primary_and_its_tables_are_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("APPLICATION_PACKAGE", DEFAULT_PACKAGE)
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/evaluations.db")
    monkeypatch.setenv("FILE_STORAGE_PATH", str(tmp_path / "files"))
    manager = create_storage_manager()
    manager.create_evaluation("a", "1")
    manager.update_evaluation("a", output="x" * 2_000_000)
    assert manager.count_evaluations() == 1
    assert (tmp_path / "evaluations.db").is_file()
    assert len(manager.get_output("a")) == 2_000_000

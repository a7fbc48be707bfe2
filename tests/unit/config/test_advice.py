"""What is said of settings that are probably a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.advice import advice
from config.advice import given_names
from config.settings import load_settings


def lines(*given: str, order: str = "local") -> list[str]:
    return advice(load_settings(None, DB_ADAPTER_ORDER=order), given)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DB_ADAPTOR_ORDER", "DB_ADAPTER_ORDER"),
        ("SUPABSE_DB_HOST", "SUPABASE_DB_HOST"),
        ("JWT_SECRETS", "JWT_SECRET"),
        ("WORKER", "WORKERS"),
    ],
)
def test_a_name_that_is_nearly_a_setting(name: str, meant: str) -> None:
    assert lines(name) == [f"{name} is not a setting; did you mean {meant}?"]


def test_a_name_that_can_only_be_meant_for_us() -> None:
    assert lines("CONVEX_COLOUR_OF_THE_DASHBOARD") == ["CONVEX_COLOUR_OF_THE_DASHBOARD is not a setting and is ignored"]


def test_a_database_that_is_configured_and_not_used() -> None:
    expected = "SUPABASE_DB_HOST is set, but DB_ADAPTER_ORDER (local) does not name supabase"
    assert lines("SUPABASE_DB_HOST", "SUPABASE_DB_PASSWORD") == [expected]
    assert lines("SUPABASE_DB_HOST", order="supabase,local") == []
    assert lines("CONVEX_URL", "LOCAL_DB_HOST", order="memory") == [
        "CONVEX_URL is set, but DB_ADAPTER_ORDER (memory) does not name convex",
        "LOCAL_DB_HOST is set, but DB_ADAPTER_ORDER (memory) does not name local",
    ]


def test_the_address_that_platforms_set() -> None:
    assert lines("DATABASE_URL")[0].startswith("DATABASE_URL is used by create_storage_manager() only")


def test_what_has_nothing_to_do_with_us_is_left_alone() -> None:
    assert lines("PATH", "HOME", "LANG", "HOSTNAME", "PYTHONPATH", "OMP_NUM_THREADS", "PORT", "DB_ADAPTER_ORDER") == []


def test_names_come_from_the_environment_and_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("jwt_secretz=hunter2\nEMPTY=\n", encoding="utf-8")
    monkeypatch.setenv("AUTH_COOKIES", "hunter2")
    given = given_names(file)
    assert {"JWT_SECRETZ", "AUTH_COOKIES"} <= given
    assert "EMPTY" not in given
    assert "hunter2" not in "".join(advice(load_settings(None), given))

"""The README says of the settings what the settings say of themselves."""

from __future__ import annotations

from pathlib import Path

from config.settings import settings_table

README = Path(__file__).parents[3] / "README.md"


def test_the_table_of_settings_is_up_to_date() -> None:
    assert settings_table() in README.read_text()

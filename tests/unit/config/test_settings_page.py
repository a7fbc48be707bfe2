"""The page of the settings says of them what they say of themselves."""

from __future__ import annotations

from pathlib import Path

from config.settings import settings_table

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_the_table_of_settings_is_up_to_date() -> None:
    assert settings_table() in PAGE.read_text()

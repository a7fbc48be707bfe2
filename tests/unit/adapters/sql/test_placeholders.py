"""SQL text that is made to be slow to read."""

from __future__ import annotations

import pytest

from database.sql.texts.placeholders import Style
from database.sql.texts.placeholders import bind

LENGTH = 1_000_000
"""Characters: what reads some part of the text again and again would take hours."""


@pytest.mark.parametrize("piece", ["/*", "$tag$", " $a", "'", '"', "--", "%(", "?", ":"])
def test_a_text_is_gone_through_once(piece: str) -> None:
    text = "select " + piece * (LENGTH // len(piece))
    places = text.count("?")
    assert len(bind(text, ["a"] * places or {"a": 1}, Style.QUESTION)[0]) == len(text)


def test_each_unclosed_quotation_hides_what_follows() -> None:
    numbered = " ".join(f"$a{number}$" for number in range(LENGTH // 8))
    assert bind(f"select {numbered} ?", {}, Style.QUESTION) == (f"select {numbered} ?", ())

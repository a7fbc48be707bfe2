"""Patterns: what they match, without going back."""

from __future__ import annotations

import re

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from database.backends.sqlite.dialect import glob
from database.backends.sqlite.dialect import like_of
from database.core.clock import monotonic
from database.core.errors import Stopped
from database.core.query.patterns import Pattern
from database.core.query.steps import Steps

texts = st.text("ab%_\\*?[]\n", max_size=12)
pieces = st.sampled_from(["%", "_", "a", "b", "\\%", "\\_", "\\\\", "*", "?", "[", "]", "\n"])
patterns = st.lists(pieces, max_size=10).map("".join)


def as_expression(like: str) -> re.Pattern[str]:
    """The same pattern as a regular expression, which goes back."""
    parts = re.findall(r"\\.|.", like, re.DOTALL)
    return re.compile("".join({"%": ".*", "_": "."}.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


@given(like=patterns, text=texts)
@example(like="a%a", text="a")
@example(like="%ab%ab%", text="abab")
@example(like="%a_b%", text="aaab")
def test_it_matches_what_the_expression_matches(like: str, text: str) -> None:
    expected = as_expression(like).fullmatch(text) is not None
    assert Pattern(like).matches(text, Steps()) is expected
    assert Pattern(like_of(glob(like))).matches(text, Steps()) is expected


@pytest.mark.parametrize("like", ["%a%b%C%", "%ABC%", "abc", "a_C"])
def test_only_a_to_z_are_folded(like: str) -> None:
    assert Pattern(like, fold=True).matches("aBc", Steps())
    assert not Pattern(like).matches("aBc", Steps())
    assert not Pattern("%Ä%", fold=True).matches("xäx", Steps())


def test_many_stars_are_no_matter() -> None:
    assert not Pattern("%a" * 400 + "%b").matches("a" * 100_000, Steps())


def test_a_long_text_ends_at_the_deadline() -> None:
    with pytest.raises(Stopped):
        Pattern("%" + "a_" * 400 + "b%").matches("a" * 3_000_000, Steps(monotonic() + 0.05))

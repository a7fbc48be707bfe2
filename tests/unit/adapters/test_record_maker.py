"""Rows as records, by functions that are generated for their columns."""

from __future__ import annotations

import pytest

from database.sql.record_maker import one_record_maker
from database.sql.record_maker import record_maker

NAMES = ("it's", 'a"b', "{c}", "d\\", "e\nf", "lambda", "v0", "decode_v0", "größe")


def test_names_of_any_kind_are_keys() -> None:
    row = tuple(range(len(NAMES)))
    assert record_maker(NAMES, {})([row, row]) == [dict(zip(NAMES, row, strict=True))] * 2


def test_a_name_is_never_code() -> None:
    name = "'}, __import__('os').abort(), {'"
    assert record_maker([name], {})([(1,)]) == [{name: 1}]


def test_values_are_decoded_but_null() -> None:
    make = record_maker(("a", "b"), {"b": str})
    assert make([(1, 2), (None, None)]) == [{"a": 1, "b": "2"}, {"a": None, "b": None}]


def test_a_single_column_and_no_rows() -> None:
    make = record_maker(("a",), {})
    assert (make([(1,)]), make([])) == ([{"a": 1}], [])


def test_what_a_decoder_raises_comes_out() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        record_maker(("a",), {"a": int})([("x",)])


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        record_maker(("a", "b"), {})([(1, 2, 3)])


def test_one_row_becomes_the_same_record() -> None:
    values = tuple(range(len(NAMES)))
    assert one_record_maker(NAMES, {"lambda": str}, {})(*values) == record_maker(NAMES, {"lambda": str})([values])[0]


def test_a_value_of_one_row_has_a_type_of_its_column() -> None:
    make = one_record_maker(("a", "b"), {"b": str}, {"a": frozenset({int, type(None)})})
    assert [make(1, 2), make(None, None)] == [{"a": 1, "b": "2"}, {"a": None, "b": None}]
    with pytest.raises(TypeError, match="none of the types"):
        make(True, 2)


def test_no_name_of_a_column_of_one_row_is_code() -> None:
    name = "'}, __import__('os').abort(), {'"
    assert one_record_maker([name], {}, {name: frozenset({int})})(1) == {name: 1}

"""Stored text that is not valid UTF-8, which the driver cannot return: it is read as bytes instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def text_as_bytes(names: Sequence[str]) -> str:
    """The columns with text as bytes, each followed by its type."""
    return ", ".join([f"iif(typeof({name}) = 'text', cast({name} as blob), {name}), typeof({name})" for name in names])


def decoded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in the form of :func:`text_as_bytes` with bytes decoded to text, except those that are not UTF-8."""
    return [tuple(map(text_or_bytes, row[::2], row[1::2])) for row in rows]


def text_or_bytes(value: Any, kind: Any) -> Any:
    """A value with its text decoded; bytes if it is not UTF-8."""
    if kind != "text":
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value

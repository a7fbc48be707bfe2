"""Immutable values that are created as fast as ordinary objects."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TypeVar
from typing import dataclass_transform

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: type[Value]) -> type[Value]:
    """Make a class a dataclass with slots, equality and a hash, whose attributes nobody may assign.

    The type checker enforces that. ``dataclass(frozen=True)`` would enforce it at run time as well, but makes an object
    three times as slowly, and several of these are made for every call of a database.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)

"""Functions that make a driver's rows into records, generated for their columns.

A comprehension that unpacks each row and names its columns as constants takes a third of the time of
``dict(zip(columns, row))``, which is most of what reading costs beside the driver. Only source text can hold such
constants, so it is generated and compiled, as :mod:`dataclasses` does with ``__init__``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NoReturn

from database.core.result import Row

RecordMaker = Callable[[Sequence[tuple[Any, ...]]], list[Row]]
"""Records of rows. Raises what a decoder raises, and ``ValueError`` for a row of another width."""

OneRecordMaker = Callable[..., Row]
"""A record of the values of one row, each a parameter. Raises what a decoder raises, and ``TypeError``."""

Decoder = Callable[[Any], Any]


def record_maker(columns: Sequence[str], decoders: Mapping[str, Decoder]) -> RecordMaker:
    """A function that makes rows of ``columns`` into records.

    :param columns: declared columns, in the order of the row's values.
    :param decoders: for the columns whose driver value is not the record's; null is not decoded.
    """
    values, record, names = _parts(columns, decoders)
    maker: RecordMaker = eval(f"lambda rows: [{record} for ({values},) in rows]", names)  # noqa: S307
    return maker


def one_record_maker(
    columns: Sequence[str], decoders: Mapping[str, Decoder], types: Mapping[str, frozenset[type]]
) -> OneRecordMaker:
    """A function that makes the values of one row into a record, and checks them; as :func:`record_maker` otherwise.

    :param types: those that the values of a column may have; a column without any is not checked.
    """
    values, record, names = _parts(columns, decoders)
    checks = [f"type(v{place}) in types_{place}" for place, name in enumerate(columns) if name in types]
    names |= {f"types_{place}": types[name] for place, name in enumerate(columns) if name in types}
    checked = f"{record} if {' and '.join(checks)} else refuse()" if checks else record
    maker: OneRecordMaker = eval(f"lambda {values}: {checked}", names | {"refuse": _refuse})  # noqa: S307
    return maker


def _parts(columns: Sequence[str], decoders: Mapping[str, Decoder]) -> tuple[str, str, dict[str, Any]]:
    """The source of the values and of a record of them, and what it refers to.

    All that is not constant in it are the columns' names, as literals.
    """
    values = [f"v{place}" for place in range(len(columns))]
    pairs = [_pair(name, value, decodes=name in decoders) for name, value in zip(columns, values, strict=True)]
    names = {f"decode_{value}": decoders[name] for name, value in zip(columns, values, strict=True) if name in decoders}
    return ", ".join(values), f"{{{', '.join(pairs)}}}", names


def _refuse() -> NoReturn:
    raise TypeError("a value has none of the types of its column")


def _pair(name: str, value: str, *, decodes: bool) -> str:
    return f"{name!r}: None if {value} is None else decode_{value}({value})" if decodes else f"{name!r}: {value}"

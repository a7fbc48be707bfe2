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

from database.core.result import Row

RecordMaker = Callable[[Sequence[tuple[Any, ...]]], list[Row]]
"""Records of rows. Raises what a decoder raises, and ``ValueError`` for a row of another width."""

Decoder = Callable[[Any], Any]


def record_maker(columns: Sequence[str], decoders: Mapping[str, Decoder]) -> RecordMaker:
    """A function that makes rows of ``columns`` into records.

    :param columns: declared columns, in the order of the row's values.
    :param decoders: for the columns whose driver value is not the record's; null is not decoded.
    """
    values = [f"v{place}" for place in range(len(columns))]
    pairs = [_pair(name, value, decodes=name in decoders) for name, value in zip(columns, values, strict=True)]
    source = f"lambda rows: [{{{', '.join(pairs)}}} for ({', '.join(values)},) in rows]"
    names = {f"decode_{value}": decoders[name] for name, value in zip(columns, values, strict=True) if name in decoders}
    # All that is not constant in the text are the columns' names, as literals.
    maker: RecordMaker = eval(source, names)  # noqa: S307
    return maker


def _pair(name: str, value: str, *, decodes: bool) -> str:
    return f"{name!r}: None if {value} is None else decode_{value}({value})" if decodes else f"{name!r}: {value}"

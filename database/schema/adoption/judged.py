"""Which of the found tables can be declared, and how.

The source of each declaration is tried: :func:`~database.core.tables.schema.table_schema` accepts or refuses it, and
its reason is the report's. So a type or a key that the data layer learns becomes usable here by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any
from typing import Final
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from database import columns
from database.core.tables.defaults import quoted_text
from database.core.tables.schema import table_schema
from database.schema.adoption.found import ROWS
from database.schema.adoption.found import FoundColumn
from database.schema.adoption.found import FoundTable
from database.schema.adoption.sources import expression
from database.schema.adoption.sources import literal

Status = Literal["usable", "read-only", "left out"]

NAMES: Final = {"sa": sa, "columns": columns, "postgresql": postgresql, "Decimal": Decimal}
"""What the source of a declaration may use."""

_REFUSAL: Final = re.compile(r"column \S.*? has the type (\w+): (?:which )?(.*?)(?:; use one of .*)?", re.DOTALL)
_INTEGERS: Final = frozenset({"sa.SmallInteger", "sa.Integer", "sa.BigInteger"})
_NUMBER: Final = re.compile(r"\(?'?(-?\d{1,18}(?:\.\d{1,18})?)'?\)?(?:::numeric(?:\(\d+,\d+\))?)?")
_VERSIONS: Final = ("sa.SmallInteger", "sa.Integer", "sa.BigInteger")


@dataclass(frozen=True, slots=True)
class Judged:
    """A table, and what can be done with it.

    :ivar columns: the source of each declared column, by its name.
    :ivar reasons: one line each, for the report.
    :ivar key: the columns of the declared primary key.
    :ivar refused: why a column is left out, by its name.
    """

    table: FoundTable
    status: Status
    columns: Mapping[str, str]
    reasons: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def declared(self) -> bool:
        """Whether it has a declaration."""
        return self.status != "left out"


def judge(table: FoundTable, key: Sequence[str] = ()) -> Judged:
    """Decide how a table can be declared.

    :param key: the columns that identify a row of a table or view without a primary key.
    """
    key = tuple(key) or table.key
    if not key:
        return _left_out(table, _without_key(table))
    by_name = {column.name: column for column in table.columns}
    if unknown := [name for name in key if name not in by_name]:
        return _left_out(table, f"it has no column {unknown[0]!r}")
    keys, reason = _keys([by_name[name] for name in key], table)
    if reason is not None:
        return _left_out(table, f"{reason}; or {_key_option(table)}" if table.key == key else reason)
    sources: dict[str, str] = {}
    refused: dict[str, str] = {}
    for column in table.columns:
        source, reason = (keys[column.name], None) if column.name in keys else _source(table, column, keys)
        if source is not None:
            sources[column.name] = source
        else:
            refused[column.name] = reason or ""
    left = [by_name[name] for name in refused]
    reasons = [f"without column {one.name!r} ({one.type}): {refused[one.name]}" for one in left]
    missed = not all(one.made for one in left)
    if missed and not table.fillers:
        reasons.append("a row cannot be inserted without a column that is required and left out")
    elif missed:
        reasons.append(f"in a new row, its triggers must fill in what is left out: {', '.join(table.fillers)}")
    if table.kind not in ROWS:
        reasons.append(f"it is a {table.kind}")
    read_only = (missed and not table.fillers) or table.kind not in ROWS
    return Judged(table, "read-only" if read_only else "usable", sources, tuple(reasons), key, refused)


def trial(name: str, sources: Iterable[str], **info: Any) -> sa.Table:
    """The table of these sources of columns. :raises ValueError: if it cannot be declared."""
    made = [eval(source, dict(NAMES)) for source in sources]  # noqa: S307  # of literals that we wrote
    table = sa.Table(name, columns.table_metadata(), *made, info=info)
    table_schema(table)
    return table


def column_source(column: FoundColumn, form: str, *options: str) -> str:
    """The source of a column with a declared type."""
    nullable = [] if column.nullable or "primary_key=True" in options else ["nullable=False"]
    return f"sa.Column({', '.join([literal(column.name), form, *options, *nullable])})"


def _left_out(table: FoundTable, reason: str) -> Judged:
    return Judged(table, "left out", {}, (reason,))


def _without_key(table: FoundTable) -> str:
    if table.kind in ROWS:
        return f"it has no primary key; add one, or {_key_option(table)}"
    return f"a {table.kind} has no primary key; {_key_option(table)}"


def _key_option(table: FoundTable) -> str:
    return f"name the columns that identify a row with `--key {literal(table.name)}=COLUMN`"


def _keys(key: Sequence[FoundColumn], table: FoundTable) -> tuple[dict[str, str], str | None]:
    """The sources of the key's columns, or the reason why there are none."""
    reason: str | None = None
    for sources in _combined([list(_candidates(column, key=True)) for column in key]):
        try:
            trial(table.name, sources)
        except ValueError as error:
            reason = reason or _reason(error)
        else:
            return {column.name: source for column, source in zip(key, sources, strict=True)}, None
    without = next((column for column in key if column.problem or not column.forms), None)
    if without is not None:
        reason = f"its key {without.name!r} ({without.type}): {_problem(without)}"
    return {}, reason


def _combined(candidates: Sequence[list[str]]) -> Iterator[list[str]]:
    """The first candidates of all columns, then the second ones, and so on."""
    if all(candidates):
        for place in range(max(map(len, candidates))):
            yield [each[min(place, len(each) - 1)] for each in candidates]


def _source(table: FoundTable, column: FoundColumn, keys: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The source of a column, or why it has none."""
    if column.problem or not column.forms:
        return None, _problem(column)
    if column.name == "version" and column.forms[0] not in _VERSIONS:
        return None, "a column 'version' must be an integer, which counts the changes of a row"
    reason = None
    for source in _candidates(column, key=False):
        try:
            trial(table.name, [*keys.values(), source])
        except ValueError as error:
            reason = reason or _reason(error)
        else:
            return source, None
    return None, reason


def _problem(column: FoundColumn) -> str:
    return column.problem or "its type is not supported by all backends"


def _candidates(column: FoundColumn, *, key: bool) -> Iterator[str]:
    """The sources of a column, the best one first."""
    numbered = key and column.identity is not None
    for form in (_numbered(form) if numbered else form for form in column.forms):
        for options in _defaults(column, form, key=key):
            yield column_source(column, form, *options, *(["primary_key=True"] if key else []))


def _numbered(form: str) -> str:
    """The form of a key that the database numbers: SQLite, should it get a copy, numbers only its own INTEGER."""
    return f'{form}().with_variant(sa.Integer, "sqlite")' if form in {"sa.BigInteger", "sa.SmallInteger"} else form


def _defaults(column: FoundColumn, form: str, *, key: bool) -> Iterator[tuple[str, ...]]:
    """The options that say what becomes of a row without the column."""
    fetched = ("server_default=sa.FetchedValue()",)
    if column.identity is not None:
        if key:
            yield (f"sa.Identity({'always=True' if column.identity == 'always' else ''})",)
        yield fetched
    elif column.generated is not None:
        yield fetched
    elif column.default is not None:
        # What the data layer fills in itself has no default of another's.
        if column.name not in {"version", "created_at", "updated_at"}:
            text = quoted_text(column.default)
            yield (f"server_default={expression(column.default) if text is None else literal(text)}",)
            if number := _NUMBER.fullmatch(column.default):
                yield (f"default=Decimal({literal(number[1])})",)
        yield fetched
    elif key and form in _INTEGERS:
        # SQLAlchemy would take it for one that the database numbers.
        yield ("autoincrement=False",)
    else:
        yield ()


def _reason(error: ValueError) -> str:
    """The data layer's reason, without the name of the table and the column, which stand before it."""
    refusal = _REFUSAL.fullmatch(str(error))
    return f"the type {refusal[1]}: {refusal[2]}" if refusal else str(error)

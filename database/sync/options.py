"""The validated options of a sync manager."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Final

from config.fields import names
from config.settings import ConfigurationError
from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.core.errors import Unsupported
from database.core.kinds.arrays import Arrays
from database.core.kinds.values import Kind
from database.core.tables.schema import Column
from database.core.tables.schema import Schema
from database.internal_tables import ACCOUNTS
from database.internal_tables import ENTRIES
from database.sync.conflicts.strategies import Deciding
from database.sync.conflicts.strategies import Policies
from database.sync.conflicts.strategies import Strategies
from database.sync.conflicts.strategies import policies_by_table
from database.sync.conflicts.strategies import strategies_by_table
from database.sync.conflicts.units import ConflictUnit
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import SideName

DEFAULT_INTERVAL: Final = 60.0
DEFAULT_RESOLUTION: Final = "last_modified"

_KEYS: Final = (
    "sync_interval",
    "sync_tables",
    "conflict_resolution",
    "sync_numbers",
    "conflict_deletes",
    "conflict_units",
    "audit_rows",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Validated options.

    :ivar interval: seconds between two cycles.
    :ivar tables: the synced tables, parents first.
    :ivar numbers: the side that makes the keys of numbered tables; None if it is not chosen.
    """

    interval: float
    tables: tuple[str, ...]
    resolution: Strategies
    numbers: SideName | None = None
    deletes: Policies | None = None
    units: tuple[ConflictUnit, ...] = ()

    def deciding(self, schema: Schema, tables: Sequence[str]) -> Deciding:
        """What decides about the records of these tables. :raises ValueError: as :class:`Deciding`."""
        synced = {name: schema.table(name) for name in tables}
        strategies = dict(strategies_by_table(self.resolution))
        if ENTRIES in synced and strategies.setdefault(ENTRIES, DEFAULT_RESOLUTION) == "merge":
            raise ValueError(f"{ENTRIES}: an entry cannot be merged column by column; use another strategy")
        return Deciding(strategies, synced, policies_by_table(self.deletes), self.units)


def from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the options from the settings.

    :raises ConfigurationError: for unknown keys, and for invalid settings.
    """
    if unknown := [str(key) for key in config if key not in _KEYS]:
        raise ConfigurationError(dict.fromkeys(unknown, f"is not an option of sync; use {', '.join(_KEYS)}"))
    if all(key in config for key in _KEYS):
        return dict(config)
    settings = load_settings().convex
    defaults = {key: () if key == "conflict_units" else getattr(settings, key) for key in _KEYS}
    return {**defaults, **config}


def checked_rows(rows: object) -> int:
    """Validate the number of records that a cycle audits. :raises ConfigurationError: says what is wrong."""
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
        raise ConfigurationError({"audit_rows": "must be a whole number of records, or 0 for no audit"})
    return rows


def checked(
    first: DatabaseAdapter,
    second: DatabaseAdapter,
    interval: object,
    tables: object,
    resolution: Any,
    numbers: Any = None,
    deletes: Any = None,
    units: Any = (),
) -> Options:
    """Validate the options for two databases.

    :raises ConfigurationError: names every invalid option.
    :raises Unsupported: for a database without a change feed, or without repeatable reads.
    """
    for adapter in (first, second):
        if not adapter.capabilities.changes:
            raise Unsupported("changes", backend=adapter.name)
        if adapter.isolation == "read committed":
            detail = f"sync would overwrite concurrent changes on {adapter.name}, whose isolation is read committed"
            raise Unsupported("isolation", backend=adapter.name, detail=f"{detail}; set it to repeatable read")
    problems: dict[str, str] = {}
    for option, check, value in (
        ("sync_interval", _check_interval, interval),
        ("sync_tables", lambda value: _tables(first, second, value), tables),
        ("sync_numbers", lambda value: _check_numbers(first, second, value, tables), numbers),
        ("conflict_resolution", strategies_by_table, resolution),
        ("conflict_deletes", policies_by_table, deletes),
        ("conflict_units", _check_units, units),
    ):
        try:
            check(value)
        except ValueError as error:
            problems[option] = str(error)
    if problems:
        raise ConfigurationError(problems)
    chosen = _tables(first, second, tables)
    options = Options(float(interval), chosen, resolution, numbers, deletes, tuple(units))  # type: ignore[arg-type]
    try:
        options.deciding(first.schema, chosen)
    except ValueError as error:
        raise ConfigurationError({"conflict_resolution": str(error)}) from error
    return options


def _check_units(units: object) -> None:
    if not isinstance(units, Sequence) or not all(isinstance(unit, ConflictUnit) for unit in units):
        raise ValueError("must be a list of ConflictUnit")


def _check_interval(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value > 0 and math.isfinite(value)):
        raise ValueError("must be a number of seconds greater than 0")


def _check_numbers(first: DatabaseAdapter, second: DatabaseAdapter, numbers: object, tables: object) -> None:
    """Refuse tables of which nobody knows which side makes the keys."""
    if numbers is not None and numbers not in SIDES:
        raise ValueError(f"must be {' or '.join(SIDES)}, the side that makes the keys of numbered tables")
    try:
        chosen = _tables(first, second, tables)
    except ValueError:
        return
    for name in chosen:
        one, other = (adapter.schema.table(name) for adapter in (first, second))
        if numbers is None and one.numbered and other.numbered:
            raise ValueError(
                f"must be chosen, because each database numbers the records of table {name} by itself (column"
                f" {one.key[0]!r}), so that two records could get one key: {' or '.join(SIDES)}, the side that makes"
                " the numbers; or leave the table out of sync_tables"
            )
        if numbers is not None and one.numbered != other.numbered and not (one, other)[SIDES.index(numbers)].numbered:
            maker = first.name if numbers == "first" else second.name
            raise ValueError(f"is {numbers}, but {maker} does not number the records of table {name}")


def _tables(first: DatabaseAdapter, second: DatabaseAdapter, wanted: object) -> tuple[str, ...]:
    declared, known = declared_tables(first.schema), declared_tables(first.schema, entries=True)
    chosen = declared if wanted is None else names(wanted)
    if isinstance(chosen, str) or not isinstance(chosen, Iterable) or not (chosen := list(chosen)):
        raise ValueError("must be a list of table names")
    if unknown := [str(name) for name in chosen if name not in known]:
        raise ValueError(f"has unknown tables: {', '.join(unknown)}; the declared tables are {', '.join(declared)}")
    for name in chosen:
        _compare_columns(name, first, second)
    return tuple(name for name in known if name in chosen)


def declared_tables(schema: Schema, *, entries: bool = False) -> list[str]:
    """The tables that are synced unless others are named.

    :param entries: whether that of stores is one of them.
    """
    declared = [table.name for table in schema if not (table.internal or table.source.info.get("read_only"))]
    return [*declared, ENTRIES] if entries and ENTRIES in schema else declared


def with_own_tables(tables: tuple[str, ...], first: DatabaseAdapter, second: DatabaseAdapter) -> tuple[str, ...]:
    """These tables, and those of accounts and stores that both databases have, parents first."""
    both = {*tables, *(name for name in (*ACCOUNTS, ENTRIES) if name in second.schema)}
    return tuple(table.name for table in first.schema if table.name in both)


def _compare_columns(table: str, first: DatabaseAdapter, second: DatabaseAdapter) -> None:
    if table not in second.schema:
        raise ValueError(f"table {table} is not declared on {second.name}")
    one, other = (adapter.schema.table(table) for adapter in (first, second))
    here, there = one.columns, other.columns
    differences: list[str | None] = []
    if one.key != other.key:
        keys = ", ".join(one.key), ", ".join(other.key)
        differences.append(f"the key is {keys[0]} on {first.name} and {keys[1]} on {second.name}")
    differences += [_difference(name, first, second, here.get(name), there.get(name)) for name in {**here, **there}]
    if found := [text for text in differences if text is not None]:
        raise ValueError(f"table {table} differs between {first.name} and {second.name}: {'; '.join(found)}")


def _difference(
    column: str, first: DatabaseAdapter, second: DatabaseAdapter, here: Column | None, there: Column | None
) -> str | None:
    if here is None or there is None:
        return f"column {column!r} is declared on {(second if here is None else first).name} only"
    if _alike(here.kind, there.kind):
        return None
    return f"column {column!r} is {here.kind.name} on {first.name} and {there.kind.name} on {second.name}"


def _alike(here: Kind, there: Kind) -> bool:
    """Whether two kinds have the same values, but for their range."""
    if isinstance(here, Arrays) and isinstance(there, Arrays):
        return _alike(here.item.base or here.item, there.item.base or there.item)
    return here is there

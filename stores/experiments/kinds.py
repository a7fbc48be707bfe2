"""The three kinds of records: their keys, their tables, and the documented fields that have columns there.

A record is stored whole, as JSON. Its columns repeat the fields by which people and other programs look for records.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any
from typing import Final

from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import INTEGER
from database.core.kinds.values import TEXT
from storage.asynchronous.convex.records import EXPERIMENT
from storage.asynchronous.convex.records import EXPERIMENT_FIELDS
from storage.asynchronous.convex.records import PREFIXES
from storage.asynchronous.convex.records import RUN
from storage.asynchronous.convex.records import RUN_FIELDS
from storage.asynchronous.convex.records import Fields
from storage.asynchronous.convex.records import first_of
from storage.core.errors import StorageSerializationError
from storage.core.errors import shown

LONGEST: Final = 255
"""The most characters of an id, and of a name by which records are found: so many fit into every index."""

Check = Callable[[Any], Any]


def _name(value: Any) -> str:
    if len(TEXT.check(value)) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters")
    return str(value)


def _number(value: Any) -> float | None:
    """A number as a double; None for NaN and infinity, which no column can hold on all backends."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("must fit in a double") from None
    return number if math.isfinite(number) else None


def _moment(value: Any) -> float | None:
    """A moment as a number, which may be given as a time or in ISO 8601; without a zone it is in UTC."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        at = None
    if isinstance(at, datetime):
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, str):
        raise ValueError("must be a number or a time in ISO 8601")
    return _number(value)


@dataclass(frozen=True, slots=True)
class RecordTable:
    """One kind of records.

    :ivar table: its table.
    :ivar id_column: the primary key of the table, which is the key of a record behind ``beginning``.
    :ivar beginning: what the keys of all its records begin with; empty if its keys have several prefixes.
    :ivar columns: how the value of each column is checked.
    :ivar fields: by column, the names that its field has in a record.
    """

    table: str
    id_column: str
    beginning: str
    columns: Mapping[str, Check]
    fields: Fields

    def row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the columns. :raises StorageSerializationError: for a field of another type; names it."""
        return {column: self._checked(column, check, record) for column, check in self.columns.items()}

    def _checked(self, column: str, check: Check, record: Mapping[str, Any]) -> Any:
        names = self.fields.get(column, (column,))
        value = first_of(record, names, None)
        try:
            return None if value is None else check(value)
        except (ValueError, OverflowError) as error:
            name = next(name for name in names if name in record)
            raise StorageSerializationError(f"the field {name} of a record {error}, not {shown(value)}") from None


RL_DATA: Final = RecordTable(
    "rl_data",
    "rl_key",
    "",
    {
        "rl_record_type": _name,
        "agent_id": _name,
        "episode_timestamp": _moment,
        "civilization_id": _name,
        "station": _name,
        "reward_score": _number,
        "fitness_score": _number,
        "success": BOOLEAN.check,
    },
    {},
)
EXPERIMENTS: Final = RecordTable(
    "optimization_experiments",
    "experiment_id",
    f"{EXPERIMENT}:",
    {
        **dict.fromkeys(("optimization_run_id", "system_name", "algorithm_name", "test_case_id"), _name),
        "experiment_score": _number,
        "test_passed": BOOLEAN.check,
        "experiment_timestamp": _moment,
        "generation_number": INTEGER.check,
        "latency_ms": _number,
        "cost_usd": _number,
        "session_id": _name,
    },
    EXPERIMENT_FIELDS,
)
RUNS: Final = RecordTable(
    "optimization_runs",
    "run_id",
    f"{RUN}:",
    {
        **dict.fromkeys(("system_name", "algorithm_name", "status", "winning_config_id"), _name),
        "total_generations": INTEGER.check,
        "convergence_achieved": BOOLEAN.check,
    },
    RUN_FIELDS,
)
KINDS: Final = (RL_DATA, EXPERIMENTS, RUNS)
OF_PREFIX: Final = {prefix: {EXPERIMENT: EXPERIMENTS, RUN: RUNS}.get(prefix, RL_DATA) for prefix in PREFIXES}
"""The kind of the records whose keys have a prefix."""

"""What is known before a move: what prevents it, what the target does otherwise, and how much there is to copy."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.backends.memory.constraints import constraints_of
from database.changes.followed import require_followed
from database.core.errors import SchemaMismatch
from database.core.operations import Select
from database.schema import convex_schema
from database.schema import migrations
from database.schema.sqlalchemy_engine import has_engine
from database.sync.audit.pages import PAGE
from database.sync.audit.pages import SidePage
from database.sync.manager import SyncManager
from database.sync.side import Side
from database.unit_of_work import apart

_LARGEST: Final = {"convex": 1 << 20}
"""The most bytes of a record, by kind of backend."""


@dataclass(slots=True)
class TableReport:
    """A table that is moved.

    :ivar key: the columns of its key, with their types.
    :ivar numbered: whether the database makes its keys.
    :ivar rows: of the source.
    :ivar already: rows of the target.
    :ivar largest: characters of the largest record, as JSON.
    :ivar unreadable: records that cannot be read.
    :ivar too_large: records that are larger than the target allows.
    """

    table: str
    key: tuple[str, ...]
    numbered: bool
    rows: int = 0
    already: int = 0
    largest: int = 0
    unreadable: int = 0
    too_large: int = 0


@dataclass(slots=True)
class Report:
    """The result of a check.

    :ivar problems: what prevents the move, with the remedy.
    :ivar remarks: what is different on the target.
    """

    tables: list[TableReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of all records of the source."""
        return sum(table.rows for table in self.tables)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        tables = [asdict(table) for table in self.tables]
        return {"problems": self.problems, "remarks": self.remarks, "tables": tables, "rows": self.rows}


def check(manager: SyncManager, source: Side, target: Side, tell: Callable[[int], object]) -> Report:
    """Check whether all tables of a manager can be moved. Reads all records of the source.

    :param tell: called with the number of records that were read.
    :raises BackendError: if a database does not respond.
    """
    report = Report()
    for side in (source, target):
        report.problems += _pending(side.adapter)
        report.problems += _unlogged(side.adapter, manager.tables)
    missing = [line for name in manager.tables if (line := _missing(target.adapter, name))]
    report.problems += missing
    for name in manager.tables:
        report.tables.append(_table(name, source, target, lambda done: tell(report.rows + done), absent=bool(missing)))
    report.problems += [line for table in report.tables for line in _records(table, target.adapter)]
    report.remarks += _remarks(manager, source.adapter, target.adapter)
    return report


def _pending(adapter: DatabaseAdapter) -> Iterator[str]:
    if has_engine(adapter) and (pending := migrations.runner.pending(adapter)):
        yield f"{adapter.name} lacks the migrations {', '.join(pending)}; run `flask db upgrade`"


def _unlogged(adapter: DatabaseAdapter, tables: tuple[str, ...]) -> Iterator[str]:
    try:
        require_followed(adapter, tables)
    except SchemaMismatch as error:
        yield str(error)


def _missing(adapter: DatabaseAdapter, table: str) -> str | None:
    try:
        with apart():
            adapter.run(Select(table, adapter.schema.table(table).key, limit=1))
    except SchemaMismatch as error:
        remedy = "run `flask db upgrade`, or `flask db install tables` for adopted tables"
        return f"{adapter.name} cannot take table {table}: {error.message}; {remedy}"
    return None


def _table(name: str, source: Side, target: Side, tell: Callable[[int], object], *, absent: bool) -> TableReport:
    schema = source.adapter.schema.table(name)
    key = tuple(f"{column} ({schema.columns[column].checks.name})" for column in schema.key)
    report = TableReport(name, key, schema.numbered)
    report.already = 0 if absent else count(target.adapter, name)
    allowed = _LARGEST.get(target.adapter.kind)
    last, more = None, True
    while more:
        part = SidePage(source, name, last, PAGE)
        last, more = part.end, part.end is not None
        sizes = [len(text or "") for text in part.texts.values()]
        report.rows += len(sizes)
        report.largest = max(report.largest, *sizes, 0)
        report.unreadable += len(part.unreadable) + len(part.nameless)
        report.too_large += sum(allowed is not None and size > allowed for size in sizes)
        tell(report.rows)
    return report


def count(adapter: DatabaseAdapter, table: str) -> int:
    """The number of records of a table."""
    with apart():
        return adapter.run(Select(table, adapter.schema.table(table).key, limit=1, count=True)).count or 0


def _records(table: TableReport, target: DatabaseAdapter) -> Iterator[str]:
    if table.unreadable:
        yield f"{table.unreadable} records of table {table.table} cannot be read; correct them, or delete them"
    if table.too_large:
        yield f"{table.too_large} records of table {table.table} are too large for {target.name}; make them smaller"


def _remarks(manager: SyncManager, source: DatabaseAdapter, target: DatabaseAdapter) -> Iterator[str]:
    moved = set(manager.tables)
    if target.kind == "convex":
        yield from (line for line in convex_schema.remarks(target.schema) if line.split(":")[0] in moved)
    elif target.capabilities.sql != "native":
        for name in manager.tables:
            yield from (f"{name}: not kept: {what}" for what in constraints_of(target.schema.table(name)).unkept)
    elif any(source.schema.table(name).source.info.get("adopted") for name in moved):
        yield f"adopted tables have on {target.name} only the constraints that are declared"
    if source.capabilities.row_security and not target.capabilities.row_security:
        yield (
            f"row level security of {source.name} is not moved: on {target.name} the access rules of the application"
            " apply, and programs that connect to it directly are not restricted"
        )
    for name in manager.tables:
        if source.schema.table(name).numbered and target.schema.table(name).numbered:
            yield f"{name}: {source.name} numbers the records until the cut over, then {target.name} does"
    yield (
        "accounts, sessions, refresh tokens, idempotency keys and entries of stores are moved; signing keys are in no"
        " database"
    )

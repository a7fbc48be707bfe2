"""The features of each of the contract's backends: ``python -m tests.contract.conformance`` writes the page of it.

The contract's tests hold every backend to its capabilities: what it has must work, what it lacks must be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from database.backends.buffered.backend import BufferedBackend
from tests.contract.backends import BACKENDS
from tests.contract.backends import BackendCase
from tests.storage import conformance as stores

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "backends.md"

UNTRANSLATED: Final = {
    "a join": "joins",
    "a subquery": "subqueries",
    "a set operation": "set operations",
    "WITH": "`WITH`",
    "HAVING": "`HAVING`",
    "WINDOW": "window functions",
    "FOR UPDATE": "`FOR UPDATE`",
    "ON CONFLICT DO NOTHING": "`ON CONFLICT DO NOTHING`",
    "arithmetic and concatenation": "arithmetic",
    "a comparison of two columns": "comparisons of two columns",
    "a regular expression": "regular expressions",
    "an operator into JSON": "operators into JSON",
    "CREATE": "DDL",
}
"""The most usual SQL that is not translated: the construct as the refusal names it, and in the plural."""

_INTRODUCTION: Final = """\
# What each backend can do

The tests in `tests/contract` run on every backend, against real servers, and check this table. The columns are the
names of the adapter classes without `Adapter`. `Supabase` is the HTTP interface of a project with both keys. Without
the publishable key nothing applies row level security; without the secret key there is no change feed.
`make conformance` writes this page."""

_LACKING: Final = """\
What each backend cannot do. Unsupported SQL and functions raise `Unsupported` before anything is sent:"""

_CONSTRAINTS: Final = """\
Constraints. SQL databases keep all that are declared. `Memory`, and transactions on `Convex`, keep unique columns,
references with `ON DELETE CASCADE` and `SET NULL`, and check constraints that translated SQL can express. `Memory`
also keeps unique indexes on some rows (`postgresql_where`, `sqlite_where`) with such a condition, which `Convex` does
not. Neither keeps other check constraints, unique indexes on expressions, `SET DEFAULT` and `INITIALLY DEFERRED`:
`Memory` logs a warning with their names when it is connected, and `flask db convex-schema` prints them. Functions of
your own on `Convex` keep unique columns and references only; there a record that is referred to cannot be deleted.

Keys. All backends have keys of any name, of text, `Uuid` or integers, of one column or several. All of them number
records whose integer key is left out (`sa.Identity()`, serial), also inside transactions; `Convex` and `Supabase` take
the numbers before the commit, so a transaction that is rolled back loses its own. They go on behind keys that sync or a
verbatim write has stored, and on all but PostgreSQL behind every key that was given. SQLite gives the number of a
deleted record again if it was the greatest, unless the table has `sqlite_autoincrement=True`. A key of
`sa.Identity(always=True)` can only be given by a verbatim write. A foreign key on `Convex` must refer to the key of the
other table, which must be one column. Of two databases that a `SyncManager` keeps equal, one makes the numbers."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: one capability in plain words.

    :ivar capability: the field of :class:`~database.core.capabilities.Capabilities`.
    :ivar tell: what a backend has of it.
    :ivar lacks: what a backend cannot do for want of it; empty if there is nothing.
    """

    capability: str
    title: str
    tell: Callable[[BackendCase], str]
    lacks: Callable[[BackendCase], str]


def page() -> str:
    """The page: the table, and below it what each backend cannot do."""
    untranslated = f"Translated SQL is one operation on one table, without {', '.join(UNTRANSLATED.values())}."
    lacking = "\n".join(map(_lacking, BACKENDS))
    databases = f"{_INTRODUCTION}\n\n{_table()}\n\n{untranslated}\n\n{_CONSTRAINTS}\n\n{_LACKING}\n\n{lacking}"
    return f"{databases}\n\n{stores.section()}"


def main() -> None:
    """Update the page."""
    PAGE.write_text(page())


def _table() -> str:
    rows = [
        ["", *map(_column, BACKENDS)],
        ["---"] * (len(BACKENDS) + 1),
        *([line.title, *map(line.tell, BACKENDS)] for line in LINES),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _column(case: BackendCase) -> str:
    return case.adapter.__name__.removesuffix("Adapter")


def _lacking(case: BackendCase) -> str:
    lacks = [text for line in LINES if (text := line.lacks(case))]
    return f"* `{_column(case)}`: {'; '.join(lacks)}."


def _switch(capability: str, title: str, lacks: str, *, yes: str = "yes", no: str = "no") -> Line:
    """A capability that a backend has or has not."""

    def has(case: BackendCase) -> bool:
        return bool(getattr(case.capabilities, capability))

    return Line(capability, title, lambda case: yes if has(case) else no, lambda case: "" if has(case) else lacks)


def _transactions(case: BackendCase) -> str:
    if not case.capabilities.sessions:
        return "no"
    return "buffered" if issubclass(case.adapter.backend_class, BufferedBackend) else "interactive"


def _lacks_of_transactions(case: BackendCase) -> str:
    return {
        "no": "transactions",
    }.get(_transactions(case), "")


def _lacks_of_sql(case: BackendCase) -> str:
    return "SQL that is not translated" if case.capabilities.sql == "translated" else ""


def _functions(case: BackendCase) -> str:
    if not case.capabilities.calls:
        return "no"
    joins = getattr(case.adapter.backend_class, "function_inside", None) is not BufferedBackend.function_inside
    return "yes" if joins else "outside transactions"


def _lacks_of_functions(case: BackendCase) -> str:
    return {
        "no": "calling functions by name",
        "outside transactions": "functions inside a transaction",
        "yes": "",
    }[_functions(case)]


LINES: Final = (
    Line("sessions", "transactions", _transactions, _lacks_of_transactions),
    _switch(
        "locks",
        "`lock=True` on rows that a transaction reads",
        "locking rows that a transaction reads (the commit compares them, and fails with `SerializationFailure`)",
        yes="waits",
    ),
    _switch("savepoints", "nested transactions that roll back alone", "nested transactions"),
    _switch(
        "immediate_constraints",
        "a violated constraint raises",
        "raising a violated constraint before the commit",
        yes="at once",
        no="at the commit",
    ),
    Line("sql", "SQL text", lambda case: case.capabilities.sql, _lacks_of_sql),
    Line("calls", "functions by name", _functions, _lacks_of_functions),
    _switch("row_security", "applies row level security to each caller", "row level security of its own"),
    _switch("changes", "change feed and subscriptions", "subscriptions"),
    Line(
        "json_depth",
        "depth of a JSON document",
        lambda case: f"{case.capabilities.json_depth} levels",
        lambda case: f"JSON deeper than {case.capabilities.json_depth} levels",
    ),
    _switch(
        "json_number_types",
        "`1.0` in a JSON document",
        "distinguishing `1.0` from `1` in JSON",
        yes="stays a float",
        no="may become the integer `1`",
    ),
    _switch("durable", "keeps its rows when the process ends", "keeping its rows when the process ends"),
)
"""A line for every capability."""


if __name__ == "__main__":
    main()

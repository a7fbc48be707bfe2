"""What an adoption says: for each table, whether it can be used, and if not wholly, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from database.schema.adoption.judged import Judged
from database.schema.adoption.writing import usable


def report(tables: Sequence[Judged], hidden: Mapping[str, int]) -> Iterator[str]:
    """The lines of the report.

    :param hidden: the number of tables in each schema that was not read.
    """
    for judged in tables:
        yield f"{judged.table.place}: {_status(judged)}"
        yield from (f"    {line}" for line in (*judged.reasons, *_remarks(judged, tables)))
    for schema, number in sorted(hidden.items()):
        counted = f"{number} {'table' if number == 1 else 'tables'}"
        yield (
            f"schema {schema} was not read ({counted}), because it is not on the search path; to adopt its tables, use"
            f" `--schema {schema}`"
        )
    numbers = Counter(judged.status for judged in tables)
    yield f"{numbers['usable']} usable, {numbers['read-only']} read-only, {numbers['left out']} left out"
    if any(judged.status != "usable" or judged.reasons for judged in tables):
        yield "To use what is left out, change it in the database as its reason says, and run the command again."


def _status(judged: Judged) -> str:
    missing = len(judged.table.columns) - len(judged.columns)
    if judged.status == "usable" and missing:
        return f"usable without {missing} of its {len(judged.table.columns)} columns"
    return judged.status


def _remarks(judged: Judged, tables: Sequence[Judged]) -> Iterator[str]:
    if not judged.declared:
        return
    known = usable(judged, [one for one in tables if one.declared])
    for one in judged.table.references:
        if one not in known:
            columns = ", ".join(one.columns)
            why = "is not declared, because one of its columns is not; it stays in force"
            yield f"the foreign key ({columns}) to {one.table} {why}"
    for column in judged.table.columns:
        if column.domain is not None and column.name in judged.columns:
            yield f"column {column.name!r} is of a domain, which the database enforces: {column.domain}"
    policies = judged.table.policies
    if policies is not None:
        number = f"{len(policies)} {'policy stays' if len(policies) == 1 else 'policies stay'} in force"
        yield f"row level security is on: its {number}" if policies else "row level security is on, without policies"
    if judged.table.triggers:
        yield f"its triggers stay in force: {', '.join(judged.table.triggers)}"
    if "version" in judged.columns:
        yield "its column 'version' counts the changes of a row"

"""Writes the declarations of adopted tables as a module of the application."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

import sqlalchemy as sa

from database.core.tables.schema import Schema
from database.schema.adoption.found import FoundReference
from database.schema.adoption.judged import NAMES
from database.schema.adoption.judged import Judged
from database.schema.adoption.marks import ADOPTED
from database.schema.adoption.sources import comment
from database.schema.adoption.sources import literal
from database.schema.adoption.sources import variable

_HEAD = '''"""Tables that the database had before, as `flask db adopt` has found them.

The file is yours: edit it, above all the access rules in ``info["access"]`` (docs/access.md). A table without them is
closed to callers. Another `flask db adopt` shows what it would change, and changes nothing.
"""

from __future__ import annotations
'''

_LONGEST_LINE = 120


@dataclass(frozen=True, slots=True)
class GivenAccess:
    """The access rules for the tables that have none yet.

    :ivar rules: by action: read, write and delete.
    :ivar owner: the column with the owner's id, if a rule is for owners.
    """

    rules: Mapping[str, str | list[str]]
    owner: str | None = None

    def info(self, judged: Judged) -> dict[str, Any]:
        """The part of a table's ``info``."""
        rules = {action: rule for action, rule in self.rules.items() if action == "read" or judged.status == "usable"}
        owned = self.owner is not None and any("owner" in rule for rule in rules.values())
        return ({"access": rules} if rules else {}) | ({"owner": self.owner} if owned else {})


def module(tables: Sequence[Judged], access: GivenAccess, kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The source of the module.

    :param kept: the ``info`` of tables that are adopted already, by their names.
    :raises ValueError: if a table cannot have the access rules; names it.
    """
    declared = [judged for judged in tables if judged.declared]
    references = {judged.table.place: usable(judged, declared) for judged in declared}
    cyclic = _in_cycles(references)
    taken: set[str] = set()
    parts = [
        "\n".join(_table(one, references[one.table.place], cyclic, _info(one, access, kept), taken)) for one in declared
    ]
    body = "\n\n".join(parts)
    imports = ["import sqlalchemy as sa"]
    if "Decimal(" in body:
        imports = ["from decimal import Decimal", "", *imports]
    if "postgresql." in body:
        imports.append("from sqlalchemy.dialects import postgresql")
    head = [*imports, "", "from database import columns", "", "metadata = columns.table_metadata()", "", "# fmt: off"]
    if any(len(line) > _LONGEST_LINE for line in body.splitlines()):
        head.append("# ruff: noqa: E501")
    source = f"{_HEAD}\n" + "\n".join(head) + f"\n\n{body}\n"
    check(source)
    return source


def check(source: str) -> sa.MetaData:
    """The declared tables of a module's source. :raises ValueError: if one cannot be declared."""
    names: dict[str, Any] = {"__name__": "adopted", **NAMES}
    exec(compile(source, "adopted.py", "exec", dont_inherit=True), names)  # noqa: S102  # it is what we wrote
    metadata: sa.MetaData = names["metadata"]
    Schema.of(metadata)
    return metadata


def difference(before: str, after: str, path: str) -> str:
    """What changes in the file, as a unified diff."""
    lines = unified_diff(before.splitlines(), after.splitlines(), path, f"{path} (as the database is now)", lineterm="")
    return "\n".join(lines)


def usable(judged: Judged, declared: Iterable[Judged]) -> list[FoundReference]:
    """The foreign keys whose columns are all declared, on both sides."""
    known = {one.table.place: one.columns.keys() for one in declared}
    return [
        one
        for one in judged.table.references
        if set(one.columns) <= judged.columns.keys() and set(one.referred) <= set(known.get(one.table, ()))
    ]


def _in_cycles(references: Mapping[str, Sequence[FoundReference]]) -> set[tuple[str, str]]:
    """The pairs of tables that refer to each other, over others or not; such tables have no order."""
    ahead = {name: {one.table for one in refs if one.table != name} for name, refs in references.items()}

    def reachable(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            for other in ahead.get(waiting.pop(), set()) - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    return {(name, other) for name, others in ahead.items() for other in others if name in reachable(other)}


def _info(judged: Judged, access: GivenAccess, kept: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    given = dict(kept.get(judged.table.name, access.info(judged)))
    given = {key: value for key, value in given.items() if key not in {ADOPTED, "read_only"}}
    return {ADOPTED: True, **({"read_only": True} if judged.status == "read-only" else {}), **given}


def _table(
    judged: Judged,
    references: Sequence[FoundReference],
    cyclic: Collection[tuple[str, str]],
    info: Mapping[str, Any],
    taken: set[str],
) -> Iterator[str]:
    table = judged.table
    yield f"{variable(table.name, taken)} = sa.Table("
    yield f"    {literal(table.name)},"
    yield "    metadata,"
    by_name = {column.name: column for column in table.columns}
    for name, source in judged.columns.items():
        found = by_name[name]
        remark = f"  # generated: {comment(found.generated)}" if found.generated else ""
        yield f"    {source},{remark}"
    for one in references:
        yield f"    {_reference(one, alter=(table.place, one.table) in cyclic)},"
    for name, columns in sorted(table.unique.items()):
        if set(columns) <= judged.columns.keys():
            named = "" if name.startswith("sqlite_autoindex_") else f", name={literal(name)}"
            yield f"    sa.UniqueConstraint({', '.join(map(literal, columns))}{named}),"
    if table.schema is not None:
        yield f"    schema={literal(table.schema)},"
    yield f"    info={_shown(info)},"
    yield ")"


def _reference(one: FoundReference, *, alter: bool) -> str:
    referred = ", ".join(literal(f"{one.table}.{name}") for name in one.referred)
    options = [f"name={literal(one.name)}"] if one.name else []
    options += [f"ondelete={literal(one.ondelete)}"] if one.ondelete else []
    options += ["use_alter=True"] if alter else []
    columns = ", ".join(map(literal, one.columns))
    return f"sa.ForeignKeyConstraint({', '.join([f'[{columns}]', f'[{referred}]', *options])})"


def _shown(value: Any) -> str:
    """The source of a value of ``info``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {_shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return literal(value) if isinstance(value, str) else repr(value)

"""Generates the TypeScript form of the declared tables: ``schema.ts`` and ``tables.ts`` of the Convex functions.

Convex has no constraints. ``schema.ts`` declares types and indexes; ``tables.ts`` describes the unique columns and
references that the functions enforce. Both are generated from the same declarations as the SQL tables. Isthmus's own
tables are in separate files, ``lib/internal_*.ts``, so that ``schema.ts`` and ``tables.ts`` contain only the
application's tables.

Convex has no migrations either: a deployed schema must fit the existing documents. A document may therefore store a
column with ``info={"renamed_from": "…"}`` under either name. The functions read both names and move the value to the
present one at the next write that uses it; older versions of the application see it under the former name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from typing import get_args

import sqlalchemy as sa

from database import internal_tables
from database.backends.memory.constraints import constraints_of
from database.backends.memory.constraints import plain_unique
from database.core.kinds.arrays import Arrays
from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind
from database.core.tables.access_rules import Action
from database.core.tables.access_rules import Rule
from database.core.tables.access_rules import TableRules
from database.core.tables.schema import Column
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.uniqueness import condition_of
from database.core.tables.uniqueness import has_expressions
from database.schema.convex_modules import API_TYPES
from database.schema.convex_modules import api_types

FUNCTIONS: Final = Path(__file__).parents[1] / "convex_functions"
"""The folder that is deployed to Convex."""

MAX_COLUMNS: Final = 1024
MAX_INDEXES: Final = 32
MAX_INDEX_COLUMNS: Final = 16
OWN_TABLES: Final = frozenset({"isthmusCommits", "isthmusChanges", "isthmusNumbers"})

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

_VALIDATORS: Mapping[Kind, str] = {
    TEXT: "v.string()",
    INTEGER: "v.int64()",
    FLOAT: "v.float64()",
    BOOLEAN: "v.boolean()",
    TIMESTAMP: "v.string()",
    JSON: "v.any()",
}

_HEADER = """\
// Made from the declared tables by `flask db convex-schema`; changes belong there.

"""

_INTERNAL_SCHEMA = "lib/internal_schema.ts"
_INTERNAL_TABLES = "lib/internal_tables.ts"

_SCHEMA_FRAME = """\
import {{ defineSchema, defineTable }} from "convex/server";
import {{ v }} from "convex/values";
import {{ INTERNAL_SCHEMA }} from "./lib/internal_schema";

export default defineSchema({{
  ...INTERNAL_SCHEMA,
{0}}});
"""

_INTERNAL_SCHEMA_FRAME = """\
import {{ defineTable }} from "convex/server";
import {{ v }} from "convex/values";

export const INTERNAL_SCHEMA = {{
{0}}};
"""

_TABLES_FRAME = """\
import {{ INTERNAL_TABLES }} from "./lib/internal_tables";
import type {{ Table }} from "./lib/types";

export const TABLES: Record<string, Table> = {{
  ...INTERNAL_TABLES,
{0}}};
"""

_INTERNAL_TABLES_FRAME = """\
import type {{ Table }} from "./types";

export const INTERNAL_TABLES: Record<string, Table> = {{
{0}}};
"""

_OWN_SCHEMAS = """\
  isthmusCommits: defineTable({
    key: v.string(),
    fingerprint: v.string(),
    answer: v.any(),
    rev: v.commitTs(),
  })
    .index("by_key", ["key"])
    .index("by_rev", ["rev"]),
  isthmusChanges: defineTable({
    rev: v.commitTs(),
    seq: v.int64(),
    table: v.string(),
    id: v.string(),
    op: v.string(),
    actor: v.union(v.null(), v.string()),
  }).index("by_rev", ["rev", "seq"]),
  isthmusNumbers: defineTable({
    table: v.string(),
    last: v.int64(),
  }).index("by_table", ["table"]),
"""


@dataclass(frozen=True, slots=True)
class _Table:
    """The description of one table for Convex.

    :ivar unique: sets of columns whose values are unique together; the first is the table's key.
    :ivar references: maps a column to the table that it refers to.
    :ivar indexes: maps the name of an index to its columns.
    :ivar renamed: maps a column to its former name.
    """

    schema: TableSchema
    unique: tuple[tuple[str, ...], ...]
    references: Mapping[str, str]
    indexes: Mapping[str, tuple[str, ...]]
    renamed: Mapping[str, str]


def files(schema: Schema) -> dict[str, str]:
    """The contents of the generated files by name; deterministic.

    :raises ValueError: names the table and the part of it that Convex does not support.
    """
    internal = Schema.of(internal_tables.metadata)
    own = [_table(table) for table in internal]
    tables = [_table(table) for table in schema if table.name not in internal]
    texts = {
        "schema.ts": _SCHEMA_FRAME.format("".join(map(_table_schema, tables))),
        "tables.ts": _TABLES_FRAME.format("".join(map(_description, tables))),
        _INTERNAL_SCHEMA: _INTERNAL_SCHEMA_FRAME.format("".join(map(_table_schema, own)) + _OWN_SCHEMAS),
        _INTERNAL_TABLES: _INTERNAL_TABLES_FRAME.format("".join(map(_description, own))),
    }
    return {name: f"{_HEADER}{text}" for name, text in texts.items()}


def write(schema: Schema, folder: Path = FUNCTIONS) -> list[str]:
    """Write the files and the types of the functions into ``folder``; returns the names of the changed files.

    :raises ValueError: as :func:`files`.
    """
    changed = [name for name, text in files(schema).items() if _write_if_changed(folder / name, text)]
    # The types last, because they list the files that exist now.
    return [*changed, *(name for name, text in _types(folder).items() if _write_if_changed(folder / name, text))]


def stale(schema: Schema, folder: Path = FUNCTIONS) -> list[str]:
    """The names of the files in ``folder`` that are missing or do not match the declared tables or the functions.

    :raises ValueError: as :func:`files`.
    """
    texts = files(schema) | _types(folder)
    return [name for name, text in texts.items() if _content(folder / name) != text]


def remarks(schema: Schema) -> list[str]:
    """What Convex itself does not keep of the declared tables, a line each."""
    internal = Schema.of(internal_tables.metadata)
    return [line for table in schema if table.name not in internal for line in _remarks(table)]


def _remarks(table: TableSchema) -> Iterator[str]:
    constraints = constraints_of(table)
    yield from (f"{table.name}: not kept: {what}" for what in constraints.unkept)
    for name, _ in constraints.checks:
        yield f"{table.name}: CHECK {name} is kept by adapters, not by functions of your own"
    for index in sorted(table.source.indexes, key=lambda index: str(index.name)):
        if index.unique and condition_of(index) is not None and not has_expressions(index):
            yield f"{table.name}: not kept: unique index {index.name}, which is on some rows only"
    for key in sorted(table.source.foreign_keys, key=lambda key: str(key.parent.name)):
        if (key.ondelete or "").upper() in {"CASCADE", "SET NULL"}:
            action = f"ON DELETE {str(key.ondelete).upper()} of {key.parent.name}"
            yield f"{table.name}: {action} is kept by adapters; for functions of your own it refuses the deletion"


def _types(folder: Path) -> dict[str, str]:
    """The types of the functions, if ``folder`` has a directory for generated code."""
    return {API_TYPES: api_types(folder)} if (folder / API_TYPES).parent.is_dir() else {}


def _write_if_changed(path: Path, text: str) -> bool:
    """Write a file unless it has this text already; returns whether it was written."""
    if _content(path) == text:
        return False
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _table(schema: TableSchema) -> _Table:
    _check_name(schema.name, f"table {schema.name!r}")
    if schema.name in OWN_TABLES:
        raise ValueError(f"table {schema.name!r} has the name of one of Isthmus's own tables on Convex; rename it")
    for column in schema.columns:
        _check_name(column, f"column {column!r} of table {schema.name!r}")
    renamed = _renamed(schema)
    if len(schema.columns) + len(renamed) > MAX_COLUMNS:
        raise ValueError(f"table {schema.name!r} has more than {MAX_COLUMNS} columns, Convex's limit")
    unique = _unique(schema)
    references = dict(_references(schema))
    indexes = _indexes(schema, unique, references)
    if indexed := renamed.keys() & {column for columns in indexes.values() for column in columns}:
        # An index contains only documents that store the column under its present name.
        names = ", ".join(sorted(indexed))
        raise ValueError(f"table {schema.name!r} has an index on {names}; Convex cannot rename an indexed column")
    return _Table(schema, unique, references, indexes, renamed)


def _renamed(schema: TableSchema) -> dict[str, str]:
    """The former names of renamed columns, by column."""
    found = ((str(column.name), column.info.get("renamed_from")) for column in schema.source.columns)
    renamed = {name: str(former) for name, former in found if former is not None}
    for column, former in renamed.items():
        _check_name(former, f"column {former!r} of table {schema.name!r}")
        if former in schema.columns:
            raise ValueError(
                f"column {schema.name}.{column} has renamed_from={former!r}, but column {former!r} is declared, too"
            )
    return renamed


def _check_name(name: str, what: str) -> None:
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            f"Convex does not allow the name of {what}: it must start with a letter and have at most 64 letters,"
            " digits and '_'"
        )


def _unique(schema: TableSchema) -> tuple[tuple[str, ...], ...]:
    sets = set(plain_unique(schema.source)) - {schema.key}
    if any(schema.columns[name].kind is JSON for columns in sets for name in columns):
        raise ValueError(f"table {schema.name!r} has a unique JSON column, which is not supported on Convex")
    return (schema.key, *sorted(sets))


def _references(schema: TableSchema) -> Iterator[tuple[str, str]]:
    for key in sorted(schema.source.foreign_key_constraints, key=lambda key: tuple(key.column_keys)):
        names = [str(column.name) for column in key.columns]
        others = [str(element.column.name) for element in key.elements]
        if len(names) > 1 or others != [column.name for column in key.referred_table.primary_key.columns]:
            raise ValueError(
                f"{schema.name}.{','.join(names)} refers to {key.referred_table.name}.{','.join(others)}; on Convex a"
                " foreign key must refer to the other table's key, of one column"
            )
        yield names[0], str(key.referred_table.name)


def _indexes(
    schema: TableSchema, unique: Iterable[tuple[str, ...]], references: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """The indexes by name. An index on one column also has the key, so that equal values are ordered by it."""
    declared = [_names(index.columns) for index in schema.source.indexes if not has_expressions(index)]
    sets = {*unique, *declared, *[(column,) for column in references]}
    indexes: dict[str, tuple[str, ...]] = {}
    for columns in sorted(sets):
        if any(schema.columns[name].kind is JSON for name in columns):
            continue
        name = _index_name(schema, columns)
        if name in indexes:
            raise ValueError(
                f"table {schema.name!r} needs two indexes with the same name {name!r} on Convex; rename a column"
            )
        behind = [column for column in schema.key if column not in columns]
        indexes[name] = (*columns, *behind) if len(columns) == 1 and columns != schema.key else columns
    if len(indexes) > MAX_INDEXES:
        raise ValueError(f"table {schema.name!r} needs more than {MAX_INDEXES} indexes, Convex's limit")
    return indexes


def _index_name(schema: TableSchema, columns: tuple[str, ...]) -> str:
    # Not ``by_…``, because ``by_id`` and ``by_creation_time`` are Convex's own indexes.
    name = f"on_{'_'.join(columns)}"
    what = f"the index {name!r} of table {schema.name!r}"
    _check_name(name, what)
    if len(columns) > MAX_INDEX_COLUMNS:
        raise ValueError(f"{what} has more than {MAX_INDEX_COLUMNS} columns, Convex's limit")
    return name


def _names(columns: Iterable[sa.Column[object]]) -> tuple[str, ...]:
    return tuple(str(column.name) for column in columns)


def _table_schema(table: _Table) -> str:
    columns = "".join(f"    {name}: {validator},\n" for name, validator in _validators(table))
    indexes = [f'.index("{name}", {_strings(columns)})' for name, columns in table.indexes.items()]
    chain = indexes[0] if len(indexes) == 1 else "".join(f"\n    {index}" for index in indexes)
    return f"  {table.schema.name}: defineTable({{\n{columns}  }}){chain},\n"


def _validators(table: _Table) -> Iterator[tuple[str, str]]:
    for name, column in table.schema.columns.items():
        former = table.renamed.get(name)
        for each in (name,) if former is None else (name, former):
            yield each, _validator(column, optional=column.nullable or former is not None)


def _validator(column: Column, *, optional: bool) -> str:
    """The validator of a column. A nullable column is optional, because records older than the column lack it."""
    validator = _VALIDATORS[column.kind.storage or column.kind]
    if not optional:
        return validator
    if not column.nullable:
        return f"v.optional({validator})"
    return f"v.optional({validator if column.kind is JSON else f'v.union(v.null(), {validator})'})"


def _description(table: _Table) -> str:
    columns = "".join(
        f"      {name}: {_column_description(column, table.renamed.get(name))},\n"
        for name, column in table.schema.columns.items()
    )
    references = "".join(f'      {column}: "{target}",\n' for column, target in table.references.items())
    indexes = "".join(f"      {name}: {_strings(columns)},\n" for name, columns in table.indexes.items())
    numbered = "    numbered: true,\n" if table.schema.numbered else ""
    return (
        f"  {table.schema.name}: {{\n"
        f"    columns: {{\n{columns}    }},\n"
        f"    access: {_access(table.schema.rules)},\n"
        f"    owner: {_owner(table.schema.rules)},\n"
        f"    unique: [{', '.join(map(_strings, table.unique))}],\n{numbered}"
        f"    references: {_object(references)},\n"
        f"    indexes: {_object(indexes)},\n"
        "  },\n"
    )


def _access(rules: TableRules) -> str:
    """The access rules of each action, from the table's ``info["access"]``."""
    lists = [f"{action}: {_strings(map(_rule, rules.of(action).rules))}" for action in get_args(Action)]
    return f"{{ {', '.join(lists)} }}"


def _rule(rule: Rule) -> str:
    return f"{rule.audience}:{rule.name}" if rule.name else rule.audience


def _owner(rules: TableRules) -> str:
    return "null" if rules.owner is None else f'"{rules.owner}"'


def _column_description(column: Column, former: str | None) -> str:
    was = "" if former is None else f', was: "{former}"'
    # A list is stored as text, and is asked for its items.
    kind = column.kind if isinstance(column.kind, Arrays) else column.kind.storage or column.kind
    return f'{{ kind: "{kind.name}", nullable: {str(column.nullable).lower()}{was} }}'


def _object(lines: str) -> str:
    return f"{{\n{lines}    }}" if lines else "{}"


def _strings(texts: Iterable[str]) -> str:
    quoted = [f'"{text}"' for text in texts]
    return f"[{', '.join(quoted)}]"

"""Compares the declared tables with those of a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import Final

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from database.schema.adoption.marks import is_adopted
from database.schema.migrations.revisions.enumerations import missing_labels
from database.schema.migrations.revisions.rows import different_checks

VERSION_TABLE: Final = "isthmus_version"
"""The table that records the revisions; ``alembic_version`` is left to an application's own use of Alembic."""


def differences(connection: sa.Connection, *declared: sa.MetaData) -> list[str]:
    """The differences of the database from the declared tables, one line each; other tables are ignored."""
    return sorted(line for metadata in declared for line in _differences(connection, metadata))


def options(metadata: sa.MetaData) -> dict[str, Any]:
    """Alembic's options for these tables, for :func:`differences` and for running migrations."""

    def declared(name: str | None, kind: str, parents: Any) -> bool:
        """Include declared tables only, because a database may have others, which must not be dropped."""
        if kind == "schema":
            return name == metadata.schema
        if kind != "table":
            return True
        table = metadata.tables.get(parents["schema_qualified_table_name"])
        return table is not None and not is_adopted(table)

    def made(item: Any, _name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
        return kind != "table" or not is_adopted(item)

    return {
        "include_schemas": metadata.schema is not None,
        "version_table": VERSION_TABLE,
        "target_metadata": metadata,
        "include_name": declared,
        "include_object": made,
        "compare_type": _type_differs,
        # SQLite changes a column by recreating the table.
        "render_as_batch": True,
    }


def _differences(connection: sa.Connection, metadata: sa.MetaData) -> Iterator[str]:
    context = MigrationContext.configure(connection, opts=options(metadata))
    for change in compare_metadata(context, metadata):
        yield from _lines(change, context.dialect)
    yield from _check_lines(connection, metadata)
    for kind, labels in missing_labels(connection, metadata):
        yield f"enumeration {kind.name}: lacks {', '.join(map(repr, labels))}"


def _check_lines(connection: sa.Connection, metadata: sa.MetaData) -> Iterator[str]:
    for table, missing, surplus in different_checks(connection, metadata):
        yield from (f"{table.name}: check constraint {check.name}: is missing" for check in missing)
        yield from (f"{table.name}: check constraint {name}: is not declared" for name in surplus)


def _type_differs(
    context: MigrationContext, _found_column: Any, _declared_column: Any, found: Any, declared: Any
) -> bool | None:
    """Whether the collations differ; None leaves the rest of the type to Alembic."""
    if isinstance(declared, sa.ARRAY) and context.dialect.name == "sqlite":
        return not isinstance(found, sa.TEXT)
    wanted = getattr(declared.dialect_impl(context.dialect), "collation", None)
    return True if wanted != getattr(found, "collation", None) else None


def _lines(change: Any, dialect: sa.Dialect) -> Iterator[str]:
    """Lines that describe one change. Alembic passes a tuple, or a list of tuples for changes of one column."""
    if isinstance(change, list):
        for part in change:
            yield from _lines(part, dialect)
        return
    kind, *parts = change
    if kind.startswith("modify_"):
        _schema, table, column, _details, found, declared = parts
        what, found, declared = kind.removeprefix("modify_"), _shown(found, dialect), _shown(declared, dialect)
        yield f"{table}.{column}: {what} is {found} instead of {declared}"
    elif kind.endswith("_column"):
        _schema, table, column = parts
        yield f"{table}.{column.name}: {_problem(kind)}"
    else:
        yield f"{_place(parts[0])}: {_problem(kind)}"


def _problem(kind: str) -> str:
    return "is missing" if kind.startswith("add_") else "is not declared"


def _place(item: Any) -> str:
    if isinstance(item, sa.Table):
        return item.name
    return f"{item.table.name}: {item.__visit_name__.replace('_', ' ')} {item.name}"


def _shown(value: Any, dialect: sa.Dialect) -> str:
    return value.compile(dialect) if isinstance(value, sa.types.TypeEngine) else str(value).lower()

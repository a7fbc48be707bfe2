"""Writes the enumerations of a migration, which Alembic creates only with whole tables and never drops."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.dialects.postgresql.base import PGInspector

from database.core.kinds.enums import is_native_enum

_MODULE = "database.schema.migrations.enumerations"


class EnumerationOp(ops.MigrateOperation):
    """A call of one of the functions for migrations.

    :param verb: ``create``, ``extend`` or ``drop``.
    """

    def __init__(self, verb: str, labels: tuple[str, ...], name: str, schema: str | None) -> None:
        self.verb = verb
        self.labels = labels
        self.name = name
        self.schema = schema


def native_enum(kind: sa.types.TypeEngine[Any]) -> sa.Enum | None:
    """The enumeration that a column's type is on PostgreSQL, or its items are; None if it is none."""
    if isinstance(kind, sa.ARRAY):
        return native_enum(kind.item_type)
    found = kind._variant_mapping.get("postgresql", kind)
    return found if isinstance(found, sa.Enum) and is_native_enum(kind) else None


def complete_enumerations(connection: sa.Connection, metadata: sa.MetaData, script: ops.MigrationScript) -> None:
    """Add what a migration has to do with the enumerations of its columns."""
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    made, restored = _made(script.upgrade_ops.ops), _made(script.downgrade_ops.ops)
    missing = missing_labels(connection, metadata)
    grown = [EnumerationOp("extend", labels, str(kind.name), kind.schema) for kind, labels in missing]
    script.upgrade_ops.ops[:0] = [*[_operation("create", one) for one in made], *grown]
    script.downgrade_ops.ops[:0] = [_operation("create", one) for one in restored]
    script.downgrade_ops.ops += [_operation("drop", one) for one in made]


def missing_labels(connection: sa.Connection, metadata: sa.MetaData) -> Iterator[tuple[sa.Enum, tuple[str, ...]]]:
    """The enumerations that the database has without some of their labels."""
    if connection.dialect.name != "postgresql":
        return
    inspector = sa.inspect(connection)
    assert isinstance(inspector, PGInspector)
    found = {(one["schema"], one["name"]): one["labels"] for one in inspector.get_enums("*")}
    own = connection.dialect.default_schema_name
    kinds = [kind for table in metadata.sorted_tables for column in table.columns if (kind := native_enum(column.type))]
    for kind in _distinct(kinds):
        known = found.get((str(kind.schema or own), str(kind.name)))
        if known is not None and (labels := tuple(label for label in kind.enums if label not in known)):
            yield kind, labels


def rendered_enum(item: Any) -> str | None:
    """The call that makes the type of a column in a migration; None for other types."""
    kind = native_enum(item) if isinstance(item, sa.types.TypeEngine) else None
    if kind is None:
        return None
    call = _call("enumeration", tuple(map(str, kind.enums)), str(kind.name), kind.schema)
    return f"sa.ARRAY({call})" if isinstance(item, sa.ARRAY) else call


@renderers.dispatch_for(EnumerationOp)
def _render(context: AutogenContext, operation: EnumerationOp) -> str:
    function = f"{operation.verb}_enumeration"
    context.imports.add(f"from {_MODULE} import {function}")
    return _call(function, operation.labels, operation.name, operation.schema)


def _call(function: str, labels: tuple[str, ...], name: str, schema: str | None) -> str:
    named = [f"name={name!r}", *([] if schema is None else [f"schema={schema!r}"])]
    return f"{function}({', '.join([*map(repr, labels), *named])})"


def _operation(verb: str, kind: sa.Enum) -> EnumerationOp:
    labels = () if verb == "drop" else tuple(map(str, kind.enums))
    return EnumerationOp(verb, labels, str(kind.name), kind.schema)


def _made(operations: Iterable[ops.MigrateOperation]) -> list[sa.Enum]:
    columns: list[Any] = []
    for operation in operations:
        for part in operation.ops if isinstance(operation, ops.ModifyTableOps) else [operation]:
            if isinstance(part, ops.CreateTableOp):
                columns += part.columns
            elif isinstance(part, ops.AddColumnOp):
                columns.append(part.column)
    kinds = [native_enum(column.type) for column in columns if isinstance(column, sa.Column)]
    return _distinct([kind for kind in kinds if kind is not None])


def _distinct(kinds: Iterable[sa.Enum]) -> list[sa.Enum]:
    return list({(kind.schema, kind.name): kind for kind in kinds}.values())

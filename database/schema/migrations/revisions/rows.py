"""Makes a generated migration work on existing rows, or refuses to generate it.

A new non-nullable column needs a value in every row. If the declaration has one (a scalar ``default=``), the migration
uses it; otherwise, and for a change of type, only the author knows the values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from database.core.errors import RequestError
from database.core.kinds.calendar import LOCAL_TIMESTAMP
from database.core.kinds.enums import enums
from database.core.kinds.values import moment_text
from database.schema.adoption.marks import own
from database.schema.migrations.revisions.enumerations import complete_enumerations


class CannotBeWritten(RequestError):
    """A migration would fail on existing rows; the message names each table, column and remedy."""


def complete_script(context: MigrationContext, _revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Alembic's hook: complete a migration before it is written. :raises CannotBeWritten: if it would fail on rows."""
    script = directives[0]
    metadata = context.opts["target_metadata"]
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    _add_checks(context, metadata, script)
    problems = [problem for op in script.upgrade_ops.ops for problem in _problems(op, metadata, context.dialect)]
    if problems:
        raise CannotBeWritten("\n".join(["no migration was written:", *(f"  {line}" for line in sorted(problems))]))
    script.upgrade_ops.ops = [made for op in script.upgrade_ops.ops for made in _completed(op, metadata)]
    assert context.connection is not None
    complete_enumerations(context.connection, metadata, script)
    for change in _of_tables(script.downgrade_ops.ops):
        if isinstance(change, ops.AddColumnOp):
            # The column's values are lost, so the restored column must be nullable.
            change.column = _copy(change.column, nullable=True)


def _problems(op: ops.MigrateOperation, metadata: sa.MetaData, dialect: sa.Dialect) -> Iterator[str]:
    if isinstance(op, ops.CreateTableOp | ops.ModifyTableOps):
        table = metadata.tables[op.table_name]
        for constraint in _checks(table):
            if constraint.name is None:
                yield f"{table.name}: a check constraint needs a name, so that migrations can change it; set name="
    for change in _of_tables([op]):
        if isinstance(change, ops.AddColumnOp):
            yield from _without_value(change)
        elif isinstance(change, ops.AlterColumnOp) and change.modify_type is not None:
            yield from _other_type(change, dialect)


def _without_value(change: ops.AddColumnOp) -> Iterator[str]:
    column = change.column
    if not column.nullable and column.server_default is None and default_of(column) is None:
        yield (
            f"{change.table_name}.{column.name}: is new and must not be null, but existing rows have no value for it;"
            " declare a scalar default= or a server_default=, or declare it nullable, fill it in and make it"
            " non-nullable in a second migration"
        )


def _other_type(change: ops.AlterColumnOp, dialect: sa.Dialect) -> Iterator[str]:
    assert change.modify_type is not None
    assert change.existing_type is not None
    wanted = change.modify_type.dialect_impl(dialect)
    if change.existing_type._type_affinity is not wanted._type_affinity:
        yield (
            f"{change.table_name}.{change.column_name}: changes from {_named(change.existing_type, dialect)} to"
            f" {_named(wanted, dialect)}, but its values cannot be converted automatically; declare a column with"
            " another name, copy the values in its migration, and drop this column later"
        )


def _completed(op: ops.MigrateOperation, metadata: sa.MetaData) -> Iterator[ops.MigrateOperation]:
    """The operation, preceded by the statements that prepare existing rows for it."""
    if isinstance(op, ops.CreateTableOp):
        # Access rules in a migration would have no effect, because they are applied as state.
        op.info = {}
    for change in _of_tables([op]):
        if isinstance(change, ops.AddColumnOp):
            change.column = _filled(change.column)
        elif isinstance(change, ops.AlterColumnOp) and change.modify_nullable is False:
            column = metadata.tables[change.table_name].columns[change.column_name]
            default = default_of(column)
            if default is not None:
                yield ops.ExecuteSQLOp(_fill(change.table_name, change.column_name, default))
    yield op


def _filled(column: sa.Column[Any]) -> sa.Column[Any]:
    """The column with its scalar default as a server default, which gives existing rows a value."""
    default = default_of(column)
    if column.nullable or column.server_default is not None or default is None:
        return column
    return _copy(column, server_default=default)


def _copy(column: sa.Column[Any], **changes: Any) -> sa.Column[Any]:
    given = {"nullable": column.nullable, "server_default": column.server_default, **changes}
    return sa.Column(column.name, column.type, **given)


def default_of(column: sa.Column[Any]) -> str | sa.TextClause | None:
    """The scalar ``default=`` of a column as a ``server_default=``; None if there is none."""
    if column.default is None or not column.default.is_scalar:
        return None
    value = column.default.arg  # type: ignore[attr-defined]  # is_scalar says that it is there
    if isinstance(column.type, sa.Enum):
        return enums(column.type).check(value)
    if isinstance(column.type, sa.LargeBinary | sa.Interval | sa.ARRAY):
        return None
    if isinstance(column.type, sa.JSON):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(column.type, sa.Numeric) and not isinstance(column.type, sa.Float):
        # Only zero is the same number on all databases: some store decimals as integers.
        return sa.text("0") if not Decimal(str(value)) else None
    if isinstance(value, bool):
        return sa.text(str(value).lower())
    if isinstance(value, int | float):
        return sa.text(repr(value))
    if isinstance(value, datetime):
        return moment_text(value) if value.tzinfo else LOCAL_TIMESTAMP.store(value)
    return str(value)


def _fill(table: str, column: str, default: str | sa.TextClause) -> str:
    name: sa.ColumnClause[Any] = sa.column(column)
    value = sa.literal(default, sa.String()) if isinstance(default, str) else default
    statement = sa.update(sa.table(table, name)).where(name.is_(None)).values({name: value})
    return str(statement.compile(compile_kwargs={"literal_binds": True})).replace("\n", "")


def _add_checks(context: MigrationContext, metadata: sa.MetaData, script: ops.MigrationScript) -> None:
    """Add the changes of named check constraints, which Alembic does not compare."""
    assert context.connection is not None
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    for table, missing, surplus in different_checks(context.connection, metadata):
        added = [ops.CreateCheckConstraintOp.from_constraint(constraint) for constraint in missing]
        dropped = [ops.DropConstraintOp(name, table.name, type_="check") for name in surplus]
        script.upgrade_ops.ops.append(ops.ModifyTableOps(table.name, [*dropped, *added]))
        lifted = [ops.DropConstraintOp(str(constraint.name), table.name, type_="check") for constraint in missing]
        restored = [ops.CreateCheckConstraintOp(name, table.name, rule) for name, rule in surplus.items()]
        script.downgrade_ops.ops.insert(0, ops.ModifyTableOps(table.name, [*lifted]))
        script.downgrade_ops.ops.append(ops.ModifyTableOps(table.name, [*restored]))


def different_checks(
    connection: sa.Connection, metadata: sa.MetaData
) -> Iterator[tuple[sa.Table, list[sa.CheckConstraint], dict[str, str]]]:
    """The existing tables whose named check constraints differ, with the missing and the undeclared constraints.

    The undeclared ones are a mapping of names to conditions.
    """
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names(metadata.schema))
    for table in own(metadata.sorted_tables):
        if table.name not in there:
            continue
        checks = inspector.get_check_constraints(table.name, table.schema)
        found = {str(check["name"]): check["sqltext"] for check in checks if check["name"] is not None}
        declared = {str(check.name): check for check in _checks(table) if check.name is not None}
        missing = [check for name, check in declared.items() if name not in found]
        surplus = {name: rule for name, rule in sorted(found.items()) if name not in declared}
        if missing or surplus:
            yield table, missing, surplus


def _checks(table: sa.Table) -> list[sa.CheckConstraint]:
    """The check constraints of a table and its columns, except those that belong to a type."""
    constraints = {*table.constraints, *(one for column in table.columns for one in column.constraints)}
    checks = [one for one in constraints if isinstance(one, sa.CheckConstraint) and not one._type_bound]
    return sorted(checks, key=lambda check: str(check.name))


def _of_tables(operations: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    """The changes of existing tables."""
    for op in operations:
        if isinstance(op, ops.ModifyTableOps):
            yield from op.ops


def _named(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    return kind.compile(dialect)

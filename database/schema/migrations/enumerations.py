"""Enumerations in migrations: types of their own on PostgreSQL, text elsewhere.

They must never change, because applied migrations are not run again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


def enumeration(*labels: str, name: str, schema: str | None = None) -> sa.types.TypeEngine[str]:
    """The type of a column. A migration creates it before with :func:`create_enumeration`."""
    native = postgresql.ENUM(*labels, name=name, schema=schema, create_type=False)
    return sa.Enum(*labels, name=name, schema=schema).with_variant(native, "postgresql")


def create_enumeration(*labels: str, name: str, schema: str | None = None) -> None:
    """Create an enumeration, unless it exists."""
    listed = ", ".join(map(_literal, labels))
    _run(f"create type {_name(name, schema)} as enum ({listed})", "duplicate_object")


def extend_enumeration(*labels: str, name: str, schema: str | None = None) -> None:
    """Add labels to an enumeration."""
    if _has_types():
        for label in labels:
            op.execute(_text(f"alter type {_name(name, schema)} add value if not exists {_literal(label)}"))


def drop_enumeration(*, name: str, schema: str | None = None) -> None:
    """Drop an enumeration, unless a column still has it."""
    _run(f"drop type if exists {_name(name, schema)}", "dependent_objects_still_exist")


def _run(statement: str, ignored: str) -> None:
    if _has_types():
        block = f"begin {statement}; exception when {ignored} then null; end"
        op.execute(_text(f"do {_literal(block)}"))


def _has_types() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _text(statement: str) -> sa.TextClause:
    return sa.text(statement.replace("\\", "\\\\").replace(":", "\\:"))


def _name(name: str, schema: str | None) -> str:
    quote = _POSTGRESQL.identifier_preparer.quote
    return quote(name) if schema is None else f"{quote(schema)}.{quote(name)}"


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"

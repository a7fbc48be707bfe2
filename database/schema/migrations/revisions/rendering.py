"""Renders the types of a generated migration so that they work on every database."""

from __future__ import annotations

from typing import Any
from typing import Literal

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.dialects import postgresql

from database.schema.migrations import columns
from database.schema.migrations.revisions.enumerations import rendered_enum

_HELPERS = "database.schema.migrations.columns"
_ENUMERATIONS = "database.schema.migrations.enumerations"


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Alembic's hook: the text of a type or a default; False leaves it to Alembic."""
    if kind == "server_default" and isinstance(item, sa.DefaultClause) and isinstance(item.arg, str):
        # Alembic strips quotation marks at both ends, but here they are part of the value.
        return repr(item.arg)
    if kind != "type":
        return False
    if (enumeration := rendered_enum(item)) is not None:
        context.imports.add(f"from {_ENUMERATIONS} import enumeration")
        return enumeration
    helper = _helper(item, context)
    if helper is not None:
        context.imports.add(f"from {_HELPERS} import {helper.partition('(')[0]}")
        return helper
    if isinstance(item, postgresql.DOUBLE_PRECISION):
        return "sa.Float()"
    module = type(item).__module__
    if not module.startswith("sqlalchemy."):
        context.imports.add(f"import {module}")
        return f"{module}.{item!r}"
    return False


def _helper(item: Any, context: AutogenContext) -> str | None:
    """The call of the column helper that creates this type, whether declared or read from a database."""
    length = getattr(item, "length", None)
    text = f"text({'' if length is None else length})"
    if _same(item, columns.text(length)):
        return text
    if _same(item, columns.json()) or isinstance(item, postgresql.JSONB):
        return "json()"
    if _same(item, columns.timestamp()) or (isinstance(item, postgresql.TIMESTAMP) and item.timezone):
        return "timestamp()"
    if isinstance(item, sa.VARCHAR) and (item.collation == "C" or context.dialect.name == "sqlite"):
        return text
    return None


def _same(one: sa.types.TypeEngine[Any], other: sa.types.TypeEngine[Any]) -> bool:
    return _spelled(one) == _spelled(other)


def _spelled(item: sa.types.TypeEngine[Any]) -> tuple[str, dict[str, str]]:
    return repr(item), {name: repr(variant) for name, variant in item._variant_mapping.items()}

"""Conflicts of sync can wait for a decision, with a reason. Those that are there are resolved."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import text

revision = "0009"
down_revision = "0008"

_TABLE: Final = "isthmus_sync_conflicts"
_INDEX: Final = "ix_isthmus_sync_conflicts_state"


def upgrade() -> None:
    """Add the columns, and an index to find the few open ones among all."""
    schema = _schema()
    op.add_column(_TABLE, sa.Column("state", text(16)), schema=schema)
    op.add_column(_TABLE, sa.Column("reason", text()), schema=schema)
    op.create_index(_INDEX, _TABLE, ["state"], schema=schema)


def downgrade() -> None:
    """Forget the open ones, which would count as resolved, and drop the columns. The next sync finds them again."""
    schema = _schema()
    table = sa.table(_TABLE, sa.column("state"), schema=schema)
    op.execute(table.delete().where(table.c.state.is_not(None)))
    op.drop_index(_INDEX, _TABLE, schema=schema)
    op.drop_column(_TABLE, "reason", schema=schema)
    op.drop_column(_TABLE, "state", schema=schema)


def _schema() -> str | None:
    return "isthmus_private" if op.get_context().dialect.name == "postgresql" else None

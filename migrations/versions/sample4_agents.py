"""The tables of agents: states, tasks, conversations and transactions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import json
from database.schema.migrations.columns import text

revision = "sample4"
down_revision = "sample3"


def upgrade() -> None:
    """Create the tables."""
    _create("agent_states", "agent_id", "state_id", value="state", unique="idx_agent_states_agent_state")
    _create("agent_tasks", "agent_id", "task_id", value="task_data", unique="idx_agent_tasks_agent_task")
    _create("conversations", "conversation_id", value="message")
    op.create_index("idx_conversations_conv_id", "conversations", ["conversation_id"])
    _create("transactions", "case_id", value="transaction")
    op.create_index("idx_transactions_case_id", "transactions", ["case_id"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("transactions", "conversations", "agent_tasks", "agent_states"):
        op.drop_table(name)


def _create(table: str, *ids: str, value: str, unique: str | None = None) -> None:
    constraints: list[Any] = [sa.PrimaryKeyConstraint("id", name=f"pk_{table}")]
    if unique is not None:
        constraints.append(sa.UniqueConstraint(*ids, name=unique))
    op.create_table(
        table,
        sa.Column("id", text(255), nullable=False),
        *(sa.Column(name, text(255), nullable=False) for name in ids),
        sa.Column(value, json(), nullable=False),
        sa.Column("timestamp", sa.DateTime(), server_default=sa.func.current_timestamp()),
        *constraints,
    )

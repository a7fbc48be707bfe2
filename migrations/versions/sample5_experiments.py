"""Reinforcement-learning data, experiments and runs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import text
from database.schema.migrations.columns import timestamp

revision = "sample5"
down_revision = "sample4"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "rl_data",
        sa.Column("rl_key", text(255), nullable=False),
        sa.Column("rl_record_type", text(255)),
        sa.Column("agent_id", text(255)),
        sa.Column("episode_timestamp", sa.Double),
        sa.Column("civilization_id", text(255)),
        sa.Column("station", text(255)),
        sa.Column("reward_score", sa.Double),
        sa.Column("fitness_score", sa.Double),
        sa.Column("success", sa.Boolean),
        *_entry_columns(),
        sa.PrimaryKeyConstraint("rl_key", name="pk_rl_data"),
    )
    op.create_index("ix_rl_data_agent_id", "rl_data", ["agent_id"])
    op.create_index("ix_rl_data_expires_at", "rl_data", ["expires_at"])
    op.create_index("ix_rl_data_rl_record_type", "rl_data", ["rl_record_type"])
    op.create_table(
        "optimization_experiments",
        sa.Column("experiment_id", text(255), nullable=False),
        sa.Column("optimization_run_id", text(255)),
        sa.Column("system_name", text(255)),
        sa.Column("algorithm_name", text(255)),
        sa.Column("test_case_id", text(255)),
        sa.Column("experiment_score", sa.Double),
        sa.Column("test_passed", sa.Boolean),
        sa.Column("experiment_timestamp", sa.Double),
        sa.Column("generation_number", sa.BigInteger),
        sa.Column("latency_ms", sa.Double),
        sa.Column("cost_usd", sa.Double),
        sa.Column("session_id", text(255)),
        *_entry_columns(),
        sa.PrimaryKeyConstraint("experiment_id", name="pk_optimization_experiments"),
    )
    op.create_index("ix_optimization_experiments_expires_at", "optimization_experiments", ["expires_at"])
    op.create_index(
        "ix_optimization_experiments_optimization_run_id", "optimization_experiments", ["optimization_run_id"]
    )
    op.create_table(
        "optimization_runs",
        sa.Column("run_id", text(255), nullable=False),
        sa.Column("system_name", text(255)),
        sa.Column("algorithm_name", text(255)),
        sa.Column("status", text(255)),
        sa.Column("winning_config_id", text(255)),
        sa.Column("total_generations", sa.BigInteger),
        sa.Column("convergence_achieved", sa.Boolean),
        *_entry_columns(),
        sa.PrimaryKeyConstraint("run_id", name="pk_optimization_runs"),
    )
    op.create_index("ix_optimization_runs_expires_at", "optimization_runs", ["expires_at"])
    op.create_index("ix_optimization_runs_status", "optimization_runs", ["status"])
    op.create_index("ix_optimization_runs_system_name", "optimization_runs", ["system_name"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("rl_data", "optimization_experiments", "optimization_runs"):
        op.drop_table(table)


def _entry_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("created_at", timestamp(), nullable=False),
        sa.Column("updated_at", timestamp(), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("record", text(), nullable=False),
        sa.Column("etag", text(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("headers", text(), nullable=False),
        sa.Column("metadata", text(), nullable=False),
        sa.Column("stored_at", timestamp(), nullable=False),
        sa.Column("expires_at", timestamp()),
    ]

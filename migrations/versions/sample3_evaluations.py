"""The tables of evaluations, their events and metrics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import json
from database.schema.migrations.columns import record_columns
from database.schema.migrations.columns import text
from database.schema.migrations.columns import timestamp

revision = "sample3"
down_revision = "sample2"


def upgrade() -> None:
    """Create the tables, the parent first."""
    _create_evaluations()
    _create_events()
    _create_metrics()


def downgrade() -> None:
    """Drop the tables, children first."""
    for name in ("evaluation_metrics", "evaluation_events", "evaluations"):
        op.drop_table(name)


def _create_evaluations() -> None:
    op.create_table(
        "evaluations",
        *record_columns("evaluations"),
        sa.Column("code_hash", text(64), nullable=False),
        sa.Column("status", text(20), nullable=False),
        sa.Column("started_at", timestamp()),
        sa.Column("completed_at", timestamp()),
        sa.Column("runtime_ms", sa.BigInteger),
        sa.Column("code", text(), nullable=False),
        sa.Column("code_size", sa.BigInteger, nullable=False),
        sa.Column("code_s3_key", text()),
        sa.Column("output_preview", text()),
        sa.Column("output_size", sa.BigInteger),
        sa.Column("output_type", text(255)),
        sa.Column("output_s3_key", text()),
        sa.Column("error_preview", text()),
        sa.Column("error_size", sa.BigInteger),
        sa.Column("error_type", text(255)),
        sa.Column("error_s3_key", text()),
        sa.Column("metadata", json(), nullable=False),
    )
    op.create_index("idx_evaluations_status", "evaluations", ["status", "created_at", "id"])
    op.create_index("idx_evaluations_created", "evaluations", ["created_at", "id"])


def _create_events() -> None:
    op.create_table(
        "evaluation_events",
        *_appended("evaluation_events"),
        sa.Column("event_type", text(64), nullable=False),
        sa.Column("timestamp", timestamp(), nullable=False),
        sa.Column("message", text(), nullable=False),
        sa.Column("metadata", json(), nullable=False),
    )
    op.create_index("idx_events_eval", "evaluation_events", ["evaluation_id", "id"])
    op.create_index("idx_events_type", "evaluation_events", ["event_type"])


def _create_metrics() -> None:
    op.create_table(
        "evaluation_metrics",
        *_appended("evaluation_metrics"),
        sa.Column("metric_name", text(64), nullable=False),
        sa.Column("metric_value", sa.Double, nullable=False),
        sa.Column("unit", text(64)),
        sa.Column("timestamp", timestamp(), nullable=False),
    )
    op.create_index("idx_metrics_eval", "evaluation_metrics", ["evaluation_id", "id"])
    op.create_index("idx_metrics_name_time", "evaluation_metrics", ["metric_name", "timestamp"])


def _appended(table: str) -> tuple[sa.Column[str] | sa.Constraint, ...]:
    """The columns of what is appended to an evaluation."""
    return (
        sa.Column("id", text(255), nullable=False),
        sa.Column("evaluation_id", text(255), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=f"fk_{table}_evaluation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )

"""The tables of evaluations: among those of an application that declares them, or on their own."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from database import internal_tables
from database.columns import json
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text
from database.columns import timestamp
from database.core.tables.schema import Schema

EVALUATIONS: Final = "evaluations"
EVENTS: Final = "evaluation_events"
METRICS: Final = "evaluation_metrics"

TABLES: Final = (EVALUATIONS, EVENTS, METRICS)

_TOGETHER: Final = [
    ["status", "started_at", "completed_at", "runtime_ms"],
    ["code_hash", "code", "code_size", "code_s3_key"],
    *([f"{text}_preview", f"{text}_size", f"{text}_type", f"{text}_s3_key"] for text in ("output", "error")),
]
"""The columns that sync takes from one side, if it merges the changes of both."""


def declare_evaluations(metadata: sa.MetaData) -> None:
    """Add the tables to ``metadata``. They have no access rules: only the routes of evaluations give access to them."""
    sa.Table(
        EVALUATIONS,
        metadata,
        *record_columns(),
        sa.Column("code_hash", text(64), nullable=False),
        sa.Column("status", text(20), nullable=False),
        sa.Column("started_at", timestamp()),
        sa.Column("completed_at", timestamp()),
        sa.Column("runtime_ms", sa.BigInteger),
        # A text that is stored inline as a whole, or the beginning of what is stored under the key.
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
        sa.Index("idx_evaluations_status", "status", "created_at", "id"),
        sa.Index("idx_evaluations_created", "created_at", "id"),
        info={"merge_groups": _TOGETHER},
    )
    sa.Table(
        EVENTS,
        metadata,
        _id(),
        _evaluation(),
        sa.Column("event_type", text(64), nullable=False),
        sa.Column("timestamp", timestamp(), nullable=False),
        sa.Column("message", text(), nullable=False),
        sa.Column("metadata", json(), nullable=False),
        sa.Index("idx_events_eval", "evaluation_id", "id"),
        sa.Index("idx_events_type", "event_type"),
    )
    sa.Table(
        METRICS,
        metadata,
        _id(),
        _evaluation(),
        sa.Column("metric_name", text(64), nullable=False),
        sa.Column("metric_value", sa.Double, nullable=False),
        sa.Column("unit", text(64)),
        sa.Column("timestamp", timestamp(), nullable=False),
        sa.Index("idx_metrics_eval", "evaluation_id", "id"),
        sa.Index("idx_metrics_name_time", "metric_name", "timestamp"),
    )


declare: Final = declare_evaluations


def own_schema() -> Schema:
    """The tables, and that of stores for what is too large for a row; for a database that is not the application's."""
    metadata, entries = table_metadata(), sa.MetaData()
    declare_evaluations(metadata)
    internal_tables.entries.to_metadata(entries)
    return Schema.of(metadata, entries)


def _id() -> sa.Column[str]:
    """Ids of later rows sort behind those of earlier ones."""
    return sa.Column("id", text(255), primary_key=True)


def _evaluation() -> sa.Column[str]:
    return sa.Column("evaluation_id", text(255), sa.ForeignKey(f"{EVALUATIONS}.id", ondelete="CASCADE"), nullable=False)

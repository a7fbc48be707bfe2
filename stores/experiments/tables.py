"""The tables of reinforcement-learning records, experiments and runs, for an application to declare."""

from __future__ import annotations

from typing import Any
from typing import Final

import sqlalchemy as sa

from database.columns import record_columns
from database.columns import text
from database.columns import timestamp

TABLES: Final = ("rl_data", "optimization_experiments", "optimization_runs")
_NAME: Final = 255


def declare_experiments(metadata: sa.MetaData) -> None:
    """Add the tables ``rl_data``, ``optimization_experiments`` and ``optimization_runs`` to those of the application.

    They have no access rules, and so no routes as tables: who may use them is declared in ``RECORD_STORES``.
    """
    _declare(
        metadata,
        "rl_data",
        sa.Column("rl_key", text(_NAME), primary_key=True),
        sa.Column("rl_record_type", text(_NAME), index=True),
        sa.Column("agent_id", text(_NAME), index=True),
        sa.Column("episode_timestamp", sa.Double),
        *(sa.Column(name, text(_NAME)) for name in ("civilization_id", "station")),
        *(sa.Column(name, sa.Double) for name in ("reward_score", "fitness_score")),
        sa.Column("success", sa.Boolean),
    )
    _declare(
        metadata,
        "optimization_experiments",
        sa.Column("experiment_id", text(_NAME), primary_key=True),
        sa.Column("optimization_run_id", text(_NAME), index=True),
        *(sa.Column(name, text(_NAME)) for name in ("system_name", "algorithm_name", "test_case_id")),
        sa.Column("experiment_score", sa.Double),
        sa.Column("test_passed", sa.Boolean),
        sa.Column("experiment_timestamp", sa.Double),
        sa.Column("generation_number", sa.BigInteger),
        *(sa.Column(name, sa.Double) for name in ("latency_ms", "cost_usd")),
        sa.Column("session_id", text(_NAME)),
    )
    _declare(
        metadata,
        "optimization_runs",
        sa.Column("run_id", text(_NAME), primary_key=True),
        sa.Column("system_name", text(_NAME), index=True),
        sa.Column("algorithm_name", text(_NAME)),
        sa.Column("status", text(_NAME), index=True),
        sa.Column("winning_config_id", text(_NAME)),
        sa.Column("total_generations", sa.BigInteger),
        sa.Column("convergence_achieved", sa.Boolean),
    )


def _declare(metadata: sa.MetaData, name: str, *columns: sa.Column[Any]) -> None:
    entry = _entry_columns()
    # Of two sides that have changed a record, one has the whole of it: its columns repeat what is in it.
    together = [str(column.name) for column in (*columns, *entry) if not column.primary_key]
    groups = [[one for one in together if one not in {"created_at", "updated_at", "version"}]]
    sa.Table(name, metadata, *columns, *entry, info={"merge_groups": groups})


def _entry_columns() -> list[sa.Column[Any]]:
    """What a store needs of an entry: the record as JSON text, which every backend returns unchanged, and the rest."""
    return [
        *(column for column in record_columns() if column.name != "id"),
        sa.Column("record", text(), nullable=False),
        sa.Column("etag", text(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("headers", text(), nullable=False),
        sa.Column("metadata", text(), nullable=False),
        sa.Column("stored_at", timestamp(), nullable=False),
        sa.Column("expires_at", timestamp(), index=True),
    ]

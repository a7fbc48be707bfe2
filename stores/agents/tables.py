"""The four tables of agents, with the documented columns, types, constraints and indexes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from database.adapter.interface import Database
from database.columns import json
from database.columns import table_metadata
from database.columns import text
from database.core.tables.schema import Schema
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import MAX_ID
from stores.agents.records.kinds import RecordKind
from stores.declaration import require_tables


def declare_agents(metadata: sa.MetaData) -> None:
    """Add the tables to an application's own. They have no access rules: the routes of agents are the way in."""
    pairs = {
        "agent_states": ("agent_id", "state_id", "state"),
        "agent_tasks": ("agent_id", "task_id", "task_data"),
    }
    for table, (group, name, value) in pairs.items():
        # The index of the constraint has the documented name, so that there is one index and not two.
        unique = sa.UniqueConstraint(group, name, name=f"idx_{table}_{table.removesuffix('s')}")
        sa.Table(table, metadata, *_columns(group, name, value=value), unique, info=_info(value))
    sa.Table(
        "conversations",
        metadata,
        *_columns("conversation_id", value="message"),
        sa.Index("idx_conversations_conv_id", "conversation_id"),
        info=_info("message"),
    )
    sa.Table(
        "transactions",
        metadata,
        *_columns("case_id", value="transaction"),
        sa.Index("idx_transactions_case_id", "case_id"),
        info=_info("transaction"),
    )


def own_schema() -> Schema:
    """The tables alone, for a database of their own."""
    metadata = table_metadata()
    declare_agents(metadata)
    return Schema.of(metadata)


def require_declared(database: Database) -> None:
    """Refuse to keep agents in a database without their tables. :raises ConfigurationError: says what to call."""
    require_tables("agents", database, {kind.table: _names(kind) for kind in KINDS})


def _names(kind: RecordKind) -> set[str]:
    return {"id", "timestamp", kind.group, kind.value} | ({kind.name} if kind.name else set())


def _columns(*ids: str, value: str) -> list[sa.Column[Any]]:
    return [
        sa.Column("id", text(MAX_ID), primary_key=True),
        *(sa.Column(name, text(MAX_ID), nullable=False) for name in ids),
        sa.Column(value, json(), nullable=False),
        sa.Column("timestamp", sa.DateTime(), server_default=sa.func.current_timestamp()),
    ]


def _info(value: str) -> dict[str, Any]:
    """For sync: of two changes of a record the last one stays, with its time."""
    return {"changed_at": "timestamp", "merge_groups": [[value, "timestamp"]]}

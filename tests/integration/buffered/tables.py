"""Accounts with money that must not be lost, and memos that belong to somebody."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from database.columns import record_columns
from database.columns import text
from database.core.tables.schema import Schema

metadata = sa.MetaData()

accounts = sa.Table(
    "accounts",
    metadata,
    *record_columns(),
    sa.Column("balance", sa.BigInteger, nullable=False, default=0),
)

transfers = sa.Table(
    "transfers",
    metadata,
    *record_columns(),
    sa.Column("source_id", text(255), sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("target_id", text(255), sa.ForeignKey("accounts.id"), nullable=False),
)

# The servers' own functions and policies are what is tested with them.
memos = sa.Table(
    "memos",
    metadata,
    *record_columns(),
    sa.Column("owner", text(), nullable=False),
    info={"access": dict.fromkeys(("read", "write", "delete"), "anyone")},
)

# Numbered by the server alone.
receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("amount", sa.BigInteger),
)

SCHEMA = Schema.of(metadata)


def account(id: str, balance: int = 0) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "balance": balance}

"""Isthmus's own tables: accounts, sessions, idempotency keys, the state of sync, and entries of stores.

Callers have no access to them. A declared table may refer to their columns, as in
``sa.ForeignKey(internal_tables.users.c.id)``. On PostgreSQL they are in the schema :data:`SCHEMA`, which PostgREST does
not expose.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import sqlalchemy as sa

from database.columns import json
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text
from database.columns import timestamp

SCHEMA: Final = "isthmus_private"
"""The tables' schema on PostgreSQL; not a likely name of a user, whose schema would be first on the search path."""

metadata = table_metadata()

users = sa.Table(
    "isthmus_users",
    metadata,
    *record_columns(),
    sa.Column("email", text(254), nullable=False, unique=True),
    sa.Column("password_hash", text(), nullable=False),
    sa.Column("name", text(255)),
    sa.Column("role", text(64), nullable=False, default="user"),
    info={"internal": True},
)

idempotency_keys = sa.Table(
    "isthmus_idempotency_keys",
    metadata,
    *record_columns(),
    sa.Column("fingerprint", text(), nullable=False),
    sa.Column("status", sa.BigInteger),
    sa.Column("headers", json()),
    sa.Column("body", text()),
    sa.Index("ix_isthmus_idempotency_keys_created_at", "created_at"),
    info={"internal": True},
)

sessions = sa.Table(
    "isthmus_sessions",
    metadata,
    *record_columns(),
    sa.Column("user_id", text(255), nullable=False, index=True),
    sa.Column("last_used_at", timestamp(), nullable=False),
    sa.Column("expires_at", timestamp(), nullable=False),
    sa.Column("ended_at", timestamp(), index=True),
    sa.Column("end_reason", text(64)),
    sa.Column("user_agent", text(255)),
    info={"internal": True},
)

refresh_tokens = sa.Table(
    "isthmus_refresh_tokens",
    metadata,
    # The id is the token's hash.
    *record_columns(),
    sa.Column("session_id", text(255), nullable=False, index=True),
    sa.Column("used_at", timestamp(), index=True),
    sa.Column("sealed_successor", text()),
    info={"internal": True},
)

identities = sa.Table(
    "isthmus_identities",
    metadata,
    # The id is the hash of the issuer and its subject.
    *record_columns(),
    sa.Column("issuer", text(), nullable=False),
    sa.Column("subject", text(), nullable=False),
    sa.Column("user_id", text(255), nullable=False, index=True),
    info={"internal": True},
)

sync_cursors = sa.Table(
    "isthmus_sync_cursors",
    metadata,
    *record_columns(),
    sa.Column("epoch", text(64), nullable=False, info={"renamed_from": "session"}),
    sa.Column("cursors", json(), nullable=False),
    info={"internal": True},
)

sync_records = sa.Table(
    "isthmus_sync_records",
    metadata,
    # The id is made of the pair, the epoch, the table and the record; the version counts the agreements of the sides.
    *record_columns(),
    sa.Column("pair", text(255), nullable=False),
    sa.Column("epoch", text(64), nullable=False, info={"renamed_from": "session"}),
    sa.Column("table_name", text(255), nullable=False),
    sa.Column("record_id", text(255), nullable=False),
    # As text, which every backend returns unchanged.
    sa.Column("row", text()),
    info={"internal": True},
    # A base is replaced whenever its record changes. If its page has room, the index stays as it is.
    postgresql_with={"fillfactor": 90},
)

sync_conflicts = sa.Table(
    "isthmus_sync_conflicts",
    metadata,
    *record_columns(),
    sa.Column("pair", text(255), nullable=False),
    sa.Column("table_name", text(255), nullable=False, index=True),
    sa.Column("record_id", text(255), nullable=False),
    sa.Column("rule", text(64), nullable=False),
    sa.Column("base", text()),
    # Null in older entries on Convex, from before these columns; the pair names both sides, too.
    sa.Column("first_name", text(255)),
    sa.Column("second_name", text(255)),
    sa.Column("first_row", text(), info={"renamed_from": "supabase_row"}),
    sa.Column("second_row", text(), info={"renamed_from": "convex_row"}),
    sa.Column("result", text()),
    # Null for a resolved one, and otherwise "open", with the reason why a person has to decide.
    sa.Column("state", text(16), index=True),
    sa.Column("reason", text()),
    info={"internal": True},
)

sync_failures = sa.Table(
    "isthmus_sync_failures",
    metadata,
    # The id is a hash of the pair, the table and the record.
    *record_columns(),
    sa.Column("pair", text(255), nullable=False),
    sa.Column("table_name", text(255), nullable=False),
    sa.Column("record_id", text(255), nullable=False),
    sa.Column("reason", text(), nullable=False),
    info={"internal": True},
)

entries = sa.Table(
    "isthmus_entries",
    metadata,
    # The id is a hash of the store and the key, which may be longer than an index takes.
    *record_columns(),
    sa.Column("store", text(64), nullable=False),
    sa.Column("key", text(), nullable=False),
    sa.Column("key_start", text(200), nullable=False),
    sa.Column("etag", text(64), nullable=False),
    # JSON as it is, so that people can read it; all else in base64.
    sa.Column("body", text(), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    # JSON as text, which every backend returns unchanged.
    sa.Column("headers", text(), nullable=False),
    sa.Column("metadata", text(), nullable=False),
    sa.Column("stored_at", timestamp(), nullable=False),
    sa.Column("expires_at", timestamp(), index=True),
    # 32-bit floats in base64.
    sa.Column("vector", text()),
    sa.Index("ix_isthmus_entries_store_key_start", "store", "key_start"),
    info={"internal": True},
)

ENTRIES: Final = str(entries.name)
"""The table of stores. A move takes it along, and a sync that names it."""

ENTRY_HEADS: Final = tuple(str(column.name) for column in entries.columns if column.name not in {"body", "vector"})
"""Its columns in which two different entries of one key always differ: each put makes a new etag."""

ACCOUNTS: Final = tuple(table.name for table in (users, identities, sessions, refresh_tokens, idempotency_keys))
"""The tables of accounts and of what their callers have begun. A move takes them along."""


def is_own(name: str) -> bool:
    """Whether a table is one of these."""
    return name in metadata.tables


def place(name: str) -> tuple[str, ...]:
    """The parts of the qualified name of a table on PostgreSQL; the name alone for a table of the application."""
    return (SCHEMA, name) if is_own(name) else (name,)


def place_of(table: sa.Table) -> tuple[str, ...]:
    """The parts of the qualified name of a declared table on PostgreSQL."""
    return (table.schema, table.name) if table.schema else place(table.name)


@cache
def placed() -> sa.MetaData:
    """These tables as they are on PostgreSQL, in their schema."""
    copies = sa.MetaData(schema=SCHEMA, naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(copies, schema=SCHEMA)
    return copies

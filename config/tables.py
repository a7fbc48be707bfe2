"""The declared tables: the one place that DDL, migrations, validation and the HTTP interface are made from.

Text is compared by code point (``COLLATE "C"`` on PostgreSQL). ``info["access"]`` says who may do what:
``anyone``, ``user`` (signed in), ``owner`` (signed in, and only with rows of whom ``info["owner"]`` names the
column), ``role:<name>``, ``permission:<area>:<action>``, or a list of these for whoever one of them is true of, such
as ``["owner", "role:staff"]``. A table without it is closed to callers, and so is one with ``info["internal"]``, which
belongs to Isthmus itself.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

PUBLIC_READ = {"read": "anyone", "write": "user", "delete": "admin"}
OWN_ROWS = {"read": "owner", "write": "owner", "delete": "owner"}


def text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Text that sorts and compares by code point on every backend."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def json() -> sa.types.TypeEngine[Any]:
    """JSON: ``jsonb`` on PostgreSQL, text on SQLite."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql").with_variant(sa.Text(), "sqlite")


def timestamp() -> sa.types.TypeEngine[Any]:
    """A moment: ``timestamptz`` on PostgreSQL, ISO 8601 text of fixed width on SQLite."""
    return sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def record_columns() -> tuple[sa.Column[Any], ...]:
    """The columns every table has: who it is, and what optimistic locking and caching need."""
    return (
        sa.Column("id", text(255), primary_key=True),
        sa.Column("created_at", timestamp(), nullable=False),
        sa.Column("updated_at", timestamp(), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


molecules = sa.Table(
    "molecules",
    metadata,
    *record_columns(),
    sa.Column("name", text(), nullable=False),
    sa.Column("formula", text(), index=True),
    sa.Column("properties", json()),
    info={"access": PUBLIC_READ},
)

protocols = sa.Table(
    "protocols",
    metadata,
    *record_columns(),
    sa.Column("name", text(), nullable=False),
    sa.Column("description", text()),
    sa.Column("steps", json()),
    info={"access": PUBLIC_READ},
)

experiments = sa.Table(
    "experiments",
    metadata,
    *record_columns(),
    sa.Column("name", text(), nullable=False),
    sa.Column("molecule_id", text(255), sa.ForeignKey("molecules.id"), index=True),
    sa.Column("protocol_id", text(255), sa.ForeignKey("protocols.id"), index=True),
    sa.Column("results", json()),
    info={"access": PUBLIC_READ},
)

notes = sa.Table(
    "notes",
    metadata,
    *record_columns(),
    sa.Column("owner_id", text(255), nullable=False, index=True),
    sa.Column("title", text(255), nullable=False),
    sa.Column("body", text()),
    info={"access": OWN_ROWS, "owner": "owner_id"},
)

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
    # The id is a hash of the pair, the table and the record; the version counts what the sides have agreed on.
    *record_columns(),
    sa.Column("pair", text(255), nullable=False),
    sa.Column("epoch", text(64), nullable=False, info={"renamed_from": "session"}),
    sa.Column("table_name", text(255), nullable=False),
    sa.Column("record_id", text(255), nullable=False),
    # As text, which every backend returns letter for letter.
    sa.Column("row", text()),
    info={"internal": True},
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
    # Null in entries that Convex has from before these columns; the pair names both as well.
    sa.Column("first_name", text(255)),
    sa.Column("second_name", text(255)),
    sa.Column("first_row", text(), info={"renamed_from": "supabase_row"}),
    sa.Column("second_row", text(), info={"renamed_from": "convex_row"}),
    sa.Column("result", text()),
    info={"internal": True},
)

sync_failures = sa.Table(
    "isthmus_sync_failures",
    metadata,
    # The id is that of the record in isthmus_sync_records.
    *record_columns(),
    sa.Column("pair", text(255), nullable=False),
    sa.Column("table_name", text(255), nullable=False),
    sa.Column("record_id", text(255), nullable=False),
    sa.Column("reason", text(), nullable=False),
    info={"internal": True},
)

"""On PostgreSQL the tables of Isthmus are in a schema of their own, which PostgREST does not expose.

The table that records the revisions follows at the end of the upgrade: :mod:`database.schema.migrations.own_schema`.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0008"
down_revision = "0007"

_SCHEMA: Final = "isthmus_private"
_TABLES: Final = (
    "isthmus_users",
    "isthmus_idempotency_keys",
    "isthmus_sessions",
    "isthmus_refresh_tokens",
    "isthmus_identities",
    "isthmus_sync_cursors",
    "isthmus_sync_records",
    "isthmus_sync_conflicts",
    "isthmus_sync_failures",
)
# The first schema of the search path, in which the former migrations have created the tables.
_BACK: Final = """\
do $$
begin
    execute format('alter table {schema}.{table} set schema %I', current_schema());
end
$$"""


def upgrade() -> None:
    """Move the tables, with their rows, indexes, triggers and the foreign keys that refer to them."""
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute(f"create schema if not exists {_SCHEMA}")
    for table in _TABLES:
        op.execute(f"alter table {table} set schema {_SCHEMA}")


def downgrade() -> None:
    """Move the tables back."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table in reversed(_TABLES):
        op.execute(_BACK.format(schema=_SCHEMA, table=table))

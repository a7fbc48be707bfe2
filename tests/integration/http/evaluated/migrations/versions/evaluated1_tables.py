"""The tables as they are declared, so that they have a log of changes."""

from __future__ import annotations

from alembic import op

from tests.integration.http.evaluated.config.tables import metadata

revision = "evaluated1"
down_revision = None


def upgrade() -> None:
    """Make the tables, parents first."""
    for table in metadata.sorted_tables:
        table.create(op.get_bind())


def downgrade() -> None:
    """Drop the tables, children first."""
    for table in reversed(metadata.sorted_tables):
        op.drop_table(table.name)

"""All tables, as they are declared now."""

from __future__ import annotations

from alembic import op

from tests.stores.synced.laboratory.config.tables import metadata

revision = "synced1"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables."""
    metadata.drop_all(op.get_bind())

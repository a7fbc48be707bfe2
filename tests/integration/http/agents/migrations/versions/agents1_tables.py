"""The tables of agents."""

from __future__ import annotations

from alembic import op

from tests.integration.http.agents.laboratory.tables import metadata

revision = "agents1"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables."""
    metadata.drop_all(op.get_bind())

"""On PostgreSQL each page of sync's bases has room for the next version of a few of its rows.

Without room, a new version of a row is stored in another page, and is entered in the index once more.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0013"
down_revision = "0012"

_TABLE: Final = "isthmus_private.isthmus_sync_records"


def upgrade() -> None:
    """Leave room in pages that are filled from now on."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"alter table {_TABLE} set (fillfactor = 90)")


def downgrade() -> None:
    """Fill pages entirely again."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"alter table {_TABLE} reset (fillfactor)")

"""Sync has a first and a second side, whatever they are, and epochs; the journal keeps the names of both databases.

What is remembered keeps its meaning, so that a sync goes on where it was.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import text

revision = "0006"
down_revision = "0005"

_RENAMED: Final = (
    ("isthmus_sync_cursors", "session", "epoch", text(64)),
    ("isthmus_sync_records", "session", "epoch", text(64)),
    ("isthmus_sync_conflicts", "supabase_row", "first_row", text()),
    ("isthmus_sync_conflicts", "convex_row", "second_row", text()),
)
# A pair's name is both databases' names around a colon; with a colon of its own in one of them, it does not say which
# part is whose.
_NAMES: Final = {
    "sqlite": """\
update isthmus_sync_conflicts
set first_name = substr(pair, 1, instr(pair, ':') - 1), second_name = substr(pair, instr(pair, ':') + 1)
where length(pair) - length(replace(pair, ':', '')) = 1""",
    "postgresql": """\
update isthmus_sync_conflicts
set first_name = split_part(pair, ':', 1), second_name = split_part(pair, ':', 2)
where length(pair) - length(replace(pair, ':', '')) = 1""",
}
_NEUTRAL_CURSORS: Final = {
    "sqlite": """\
update isthmus_sync_cursors
set cursors = json_remove(
    json_set(cursors, '$.first', json_extract(cursors, '$.supabase'), '$.second', json_extract(cursors, '$.convex')),
    '$.supabase', '$.convex')
where json_extract(cursors, '$.supabase') is not null""",
    "postgresql": """\
update isthmus_sync_cursors
set cursors = (cursors - 'supabase' - 'convex')
    || jsonb_build_object('first', cursors -> 'supabase', 'second', cursors -> 'convex')
where cursors -> 'supabase' is not null""",
}
_FORMER_CURSORS: Final = {
    "sqlite": """\
update isthmus_sync_cursors
set cursors = json_remove(
    json_set(cursors, '$.supabase', json_extract(cursors, '$.first'), '$.convex', json_extract(cursors, '$.second')),
    '$.first', '$.second')
where json_extract(cursors, '$.first') is not null""",
    "postgresql": """\
update isthmus_sync_cursors
set cursors = (cursors - 'first' - 'second')
    || jsonb_build_object('supabase', cursors -> 'first', 'convex', cursors -> 'second')
where cursors -> 'first' is not null""",
}


def upgrade() -> None:
    """Rename the columns, and fill the names in."""
    for table, before, after, type_ in _RENAMED:
        op.alter_column(table, before, new_column_name=after, existing_type=type_)
    for name in ("first_name", "second_name"):
        op.add_column("isthmus_sync_conflicts", sa.Column(name, text(255)))
    kind = op.get_context().dialect.name
    op.execute(_NAMES[kind])
    op.execute(_NEUTRAL_CURSORS[kind])


def downgrade() -> None:
    """Undo that; the names of the two databases are still in that of the pair."""
    op.execute(_FORMER_CURSORS[op.get_context().dialect.name])
    for name in ("second_name", "first_name"):
        op.drop_column("isthmus_sync_conflicts", name)
    for table, before, after, type_ in _RENAMED:
        op.alter_column(table, after, new_column_name=before, existing_type=type_)

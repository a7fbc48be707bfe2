"""Where Alembic runs the migrations: on the connection, and in the transaction, that the runner hands over."""

from __future__ import annotations

from typing import Any

from alembic import context

from database.schema.migrations.revisions.comparison import options
from database.schema.migrations.revisions.rendering import render_item
from database.schema.migrations.revisions.rows import mind_rows


def _note(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001  # Alembic names them
    """Tell the runner which migration is done, so that it knows in which one an error came."""
    context.config.attributes["done"].append(step.up_revision_id)


context.configure(
    connection=context.config.attributes["connection"],
    on_version_apply=_note,
    process_revision_directives=mind_rows,
    render_item=render_item,
    **options(context.config.attributes["metadata"]),
)
with context.begin_transaction():
    context.run_migrations()

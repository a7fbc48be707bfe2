"""Alembic's environment: runs the migrations on the runner's connection, in the runner's transaction."""

from __future__ import annotations

from typing import Any

from alembic import context

from database.schema.migrations.revisions.comparison import options
from database.schema.migrations.revisions.rendering import render_item
from database.schema.migrations.revisions.rows import complete_script


def _record(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001  # Alembic names them
    """Record a completed migration for the runner, so that it can tell which migration an error came from."""
    context.config.attributes["done"].append(step.up_revision_id)


context.configure(
    connection=context.config.attributes["connection"],
    on_version_apply=_record,
    process_revision_directives=complete_script,
    render_item=render_item,
    **options(context.config.attributes["metadata"]),
    version_table_schema=context.config.attributes["version_table_schema"],
)
with context.begin_transaction():
    context.run_migrations()

"""Where Alembic runs the migrations: on the connection, and in the transaction, that the runner hands over."""

from __future__ import annotations

from alembic import context

from config.tables import metadata
from database.migrations.comparison import OPTIONS

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, **OPTIONS)
with context.begin_transaction():
    context.run_migrations()

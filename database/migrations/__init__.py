"""The declared tables' history: Alembic, used as a library."""

"""PostgreSQL, on its own or as the database of a Supabase project."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.backends.postgres import errors
    from database.backends.postgres.adapter import PostgresAdapter
    from database.backends.postgres.supabase_direct import SupabaseDirectAdapter
else:
    __getattr__ = on_first_use(
        __name__, {"PostgresAdapter": "adapter", "SupabaseDirectAdapter": "supabase_direct", "errors": "errors"}
    )

__all__ = ["PostgresAdapter", "SupabaseDirectAdapter", "errors"]

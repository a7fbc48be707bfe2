"""PostgreSQL, by itself or as the database behind Supabase."""

from database.adapters.postgres.adapter import PostgresAdapter
from database.adapters.postgres.supabase_direct import SupabaseDirectAdapter

__all__ = ["PostgresAdapter", "SupabaseDirectAdapter"]

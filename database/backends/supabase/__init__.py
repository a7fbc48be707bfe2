"""Supabase over HTTP, through the official client: PostgREST for rows and functions, Supabase Auth for sessions."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.backends.supabase.adapter import SupabaseAdapter
else:
    __getattr__ = on_first_use(__name__, {"SupabaseAdapter": "adapter"})

__all__ = ["SupabaseAdapter"]

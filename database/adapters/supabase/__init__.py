"""Supabase over HTTP, through the official client: PostgREST for rows and functions, Auth for sessions."""

from database.adapters.supabase.adapter import SupabaseAdapter

__all__ = ["SupabaseAdapter"]

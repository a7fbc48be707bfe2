"""Functions for Supabase's HTTP API, installed in a project's database beside the declared tables."""

"""Shared by all routes: problem documents, JSON, request bodies and idempotency keys."""

"""The empty databases of the migrations' tests."""

from __future__ import annotations

from tests.integration.migrations.conftest import bare_server
from tests.integration.migrations.conftest import postgres
from tests.integration.migrations.conftest import supabase

__all__ = ["bare_server", "postgres", "supabase"]

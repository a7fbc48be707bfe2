"""A Supabase project with the application's tables, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import httpx
import pytest
from supabase import Client
from supabase import ClientOptions
from supabase import create_client

from tests.servers.available import available
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi
from tests.servers.supabase_api import prepare

_TABLES = """
create table numbers (id text primary key, whole bigint, exact numeric, moment timestamptz, document jsonb);
create table memos (id text primary key, owner uuid not null, body text);
alter table memos enable row level security;
create policy own on memos to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create function fails(state text) returns void language plpgsql as
    $$ begin raise exception using errcode = state, message = 'failed', detail = '{"n": 1}'; end $$;
"""

Connect = Callable[..., Client]


@pytest.fixture(scope="package")
def api(postgres_server: PostgresServer) -> Iterator[SupabaseApi]:
    with postgres_server.database() as database:
        prepare(database)
        with available(SupabaseApi, database, max_rows=50) as running:
            database.execute(_TABLES)
            running.reload()
            yield running


@pytest.fixture
def connect(api: SupabaseApi) -> Iterator[Connect]:
    """Make clients of the official package for a key and, if given, a user's token; nothing is left of them."""
    with httpx.Client(trust_env=False) as http:

        def client(key: str, token: str | None = None, url: str = api.url) -> Client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return create_client(url, key, ClientOptions(headers=headers, httpx_client=http))

        yield client


@pytest.fixture
def service(api: SupabaseApi, connect: Connect) -> Client:
    """The application itself, in an empty project."""
    client = connect(api.service_key)
    for table in ("numbers", "memos", "molecules"):
        client.table(table).delete().neq("id", "").execute()
    return client

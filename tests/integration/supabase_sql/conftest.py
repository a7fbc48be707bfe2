"""A Supabase project's database with the contract's tables, and one where everybody has their own rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from database.schema.migrations.supabase import functions
from tests.contract.backends import supabase_database
from tests.contract.tables import create_tables
from tests.integration.supabase_sql.support import Project
from tests.servers.postgres import PostgresServer

_MEMOS = """
create table memos (id text collate "C" primary key, owner text not null, body text);
alter table memos enable row level security;
create policy read_own on memos for select to authenticated using (owner = auth.uid());
create policy read_public on memos for select using (id like 'public%');
create policy add_own on memos for insert to authenticated with check (owner = auth.uid());
create policy change_own on memos for update to authenticated using (owner = auth.uid());
create policy remove_own on memos for delete to authenticated using (owner = auth.uid());
create or replace function auth.uid() returns text language sql stable
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub';
grant all on memos to anon, authenticated, service_role;
"""


@pytest.fixture(scope="package")
def _project(postgres_server: PostgresServer) -> Iterator[Project]:
    database = supabase_database(postgres_server)
    create_tables(database.sqlalchemy_url)
    database.execute(functions.script())
    database.execute(_MEMOS)
    yield Project(database)
    postgres_server.drop_database(database)


@pytest.fixture
def project(_project: Project) -> Project:
    """The project with empty tables."""
    _project.execute("delete from parts; delete from things; delete from notes; delete from memos")
    _project.execute("delete from isthmus.isthmus_commits")
    return _project

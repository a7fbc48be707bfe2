"""The project answers as a hosted one does; what others build on is proved here by the official package."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from postgrest import CountMethod
from postgrest.exceptions import APIError
from supabase import Client
from supabase_auth.types import SignUpWithEmailAndPasswordCredentials

from tests.integration.supabase_server.conftest import Connect
from tests.integration.supabase_sql.support import insert
from tests.integration.supabase_sql.support import request
from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.processes.process import stop
from tests.servers.supabase_api import SupabaseApi
from tests.servers.supabase_api import add_roles

ALICE = "0198c5d2-0000-7000-8000-00000000000a"
BOB = "0198c5d2-0000-7000-8000-00000000000b"
LARGE = 2**53 + 1
DOCUMENT = '{"x": 1.0, "y": [9007199254740993, -0.5], "text": "1.0 \\"2.0\\" 9007199254740993"}'


def code_of(call: Any) -> str | None:
    with pytest.raises(APIError) as caught:
        call.execute()
    return caught.value.code


def data_of(call: Any) -> Any:
    return call.execute().data


def test_rows_go_in_and_come_out(service: Client) -> None:
    rows = [{"id": name, "whole": number} for name, number in (("a", 1), ("b", None), ("c", 3))]
    assert data_of(service.table("numbers").insert(rows))[2]["whole"] == 3
    found = (
        service.table("numbers").select("id", count=CountMethod.exact).gt("whole", 0).order("id", desc=True).execute()
    )
    assert (found.data, found.count) == ([{"id": "c"}, {"id": "a"}], 2)
    service.table("numbers").delete().eq("id", "a").execute()
    assert service.table("numbers").select("id").is_("whole", "null").execute().data == [{"id": "b"}]


def test_values_are_those_of_postgresql(api: SupabaseApi, service: Client) -> None:
    with psycopg.connect(api.database.dsn, autocommit=True) as connection:
        values = ["a", LARGE, "9.50", "2024-05-01 14:00:00.000001+02", DOCUMENT]
        connection.execute("insert into numbers values (%s, %s, %s, %s, %s)", values)
    headers = {"apikey": api.service_key}
    answer = httpx.get(f"{api.url}/rest/v1/numbers", headers=headers, trust_env=False)
    assert '"exact":9.50' in answer.text
    (row,) = answer.json()
    assert (row["whole"], row["moment"]) == (LARGE, "2024-05-01T12:00:00.000001+00:00")
    assert row["document"] == json.loads(DOCUMENT)
    assert '"x":1.0' in answer.text
    for value, found in ((LARGE, [{"id": "a"}]), (LARGE - 1, [])):
        assert service.table("numbers").select("id").eq("whole", value).execute().data == found
        assert service.table("numbers").select("id").in_("whole", [1, value]).execute().data == found
    assert len(service.table("numbers").update({"exact": 1}).eq("whole", LARGE).execute().data) == 1


def test_no_answer_has_more_rows_than_the_project_allows(service: Client) -> None:
    service.table("numbers").insert([{"id": f"{number:03}"} for number in range(60)]).execute()
    assert len(service.table("numbers").select("id").order("id").execute().data) == 50


def test_users_have_their_own_rows(api: SupabaseApi, service: Client, connect: Connect) -> None:
    alice, bob = (connect(api.anon_key, api.user_token(user)) for user in (ALICE, BOB))
    alice.table("memos").insert({"id": "a", "owner": ALICE}).execute()
    assert code_of(bob.table("memos").insert({"id": "b", "owner": ALICE})) == "42501"
    assert alice.table("memos").select("id").execute().data == [{"id": "a"}]
    assert bob.table("memos").select("id").execute().data == []
    assert connect(api.anon_key).table("memos").select("id").execute().data == []
    assert service.table("memos").select("id").execute().data == [{"id": "a"}]


def test_users_sign_up_and_in(api: SupabaseApi, connect: Connect) -> None:
    client = connect(api.anon_key)
    credentials: SignUpWithEmailAndPasswordCredentials = {"email": "a@example.com", "password": "Passw0rd!"}
    user = client.auth.sign_up(credentials).user
    session = (
        connect(api.anon_key).auth.sign_in_with_password({"email": "a@example.com", "password": "Passw0rd!"}).session
    )
    assert user is not None
    assert session is not None
    claims = jwt.decode(session.access_token, api.jwt_secret, ["HS256"], audience="authenticated")
    assert (claims["sub"], claims["role"]) == (user.id, "authenticated")


def test_what_is_not_declared_as_open_is_closed(api: SupabaseApi, connect: Connect) -> None:
    anyone = connect(api.anon_key)
    assert anyone.table("molecules").select("*").execute().data == []
    for client in (anyone, connect(api.anon_key, api.user_token(ALICE)), connect(api.service_key)):
        # Not even a table is there: its schema is not exposed.
        assert code_of(client.table("isthmus_users").select("*")) == "PGRST205"
        assert code_of(client.schema("isthmus_private").table("isthmus_users").select("*")) == "PGRST106"
    assert code_of(anyone.rpc("isthmus_purge", {"keep": "0"})) == "42501"


def test_legacy_keys_are_accepted(api: SupabaseApi, service: Client, connect: Connect) -> None:
    service.table("memos").insert({"id": "a", "owner": ALICE}).execute()
    for role, seen in (("anon", []), ("service_role", [{"id": "a"}])):
        key = jwt.encode({"role": role, "iss": "supabase"}, api.jwt_secret, "HS256")
        assert connect(key).table("memos").select("id").execute().data == seen


def test_foreign_keys_and_tokens_are_not(api: SupabaseApi, connect: Connect) -> None:
    with pytest.raises(APIError, match="Invalid API key"):
        connect("sb_publishable_of_another").table("molecules").select("*").execute()
    foreign = jwt.encode({"sub": ALICE, "role": "authenticated"}, "another secret of thirty-two bytes", "HS256")
    assert code_of(connect(api.anon_key, foreign).table("molecules").select("*")) == "PGRST301"
    late = api.user_token(ALICE, exp=1)
    assert code_of(connect(api.anon_key, late).table("molecules").select("*")) == "PGRST303"


@pytest.mark.parametrize(
    ("state", "status"),
    [("IS409", 400), ("40001", 500), ("57014", 500), ("P0001", 400), ("42501", 403), ("23505", 409), ("42P01", 404)],
)
def test_errors_have_their_state_and_detail(api: SupabaseApi, state: str, status: int) -> None:
    answer = httpx.post(
        f"{api.url}/rest/v1/rpc/fails", json={"state": state}, headers={"apikey": api.service_key}, trust_env=False
    )
    assert (answer.status_code, answer.json()["code"], answer.json()["details"]) == (status, state, '{"n": 1}')


def test_commits_and_groups_are_exact(service: Client, connect: Connect) -> None:
    stamp = "2024-01-01T00:00:00+00:00"
    row = {"id": "a", "created_at": stamp, "updated_at": stamp, "version": LARGE, "name": "water", "formula": None}
    sent = {"request": json.dumps(request(steps=[insert(row, "molecules")]))}
    assert service.rpc("isthmus_commit", sent).execute().data == {"replayed": False, "values": []}
    assert data_of(service.rpc("isthmus_commit", sent))["replayed"] is True
    asked = {"request": json.dumps({"table": "molecules", "group": ["version"]})}
    assert data_of(service.rpc("isthmus_groups", asked))["rows"] == [{"version": LARGE, "count": 1}]


def test_a_change_of_the_database_is_seen_after_a_reload(api: SupabaseApi, service: Client) -> None:
    with psycopg.connect(api.database.dsn, autocommit=True) as connection:
        connection.execute("create table later (id text primary key)")
        assert code_of(service.table("later").select("*")) == "PGRST205"
        api.reload()
        assert service.table("later").select("*").execute().data == []
        connection.execute("drop table later")
    api.reload()


def test_many_callers_at_once_keep_their_identities(api: SupabaseApi, service: Client, connect: Connect) -> None:
    users = [f"0198c5d2-0000-7000-8000-{number:012}" for number in range(8)]

    def work(user: str) -> None:
        client = connect(api.anon_key, api.user_token(user))
        for turn in range(5):
            client.table("memos").insert({"id": f"{user}-{turn}", "owner": user}).execute()
            owners = {row["owner"] for row in data_of(client.table("memos").select("owner"))}
            assert owners == {user}

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, users))


def test_a_database_that_is_gone_is_unavailable(postgres_server: PostgresServer) -> None:
    with PostgresServer() as server, server.database() as database:
        add_roles(database)
        database.execute("create table t (id text primary key); grant all on t to service_role")
        with SupabaseApi(database) as api:
            headers = {"apikey": api.service_key}
            assert httpx.get(f"{api.url}/rest/v1/t", headers=headers, trust_env=False).status_code == 200
            server.stop()
            answer = httpx.get(f"{api.url}/rest/v1/t", headers=headers, trust_env=False, timeout=30)
            assert (answer.status_code, answer.json()["code"]) == (503, "PGRST000")
            server.start()
            assert httpx.get(f"{api.url}/rest/v1/t", headers=headers, trust_env=False, timeout=30).status_code == 200


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_program_serves_until_it_is_ended_and_leaves_nothing(how: signal.Signals) -> None:
    port = free_port()
    environment = {**os.environ, "SUPABASE_DEV_PORT": str(port)}
    command = [sys.executable, "-m", "tests.servers.supabase_api"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        settings = dict(program.stdout.readline().decode().strip().split("=", 1) for _ in range(10))
        assert settings["SUPABASE_URL"] == f"http://127.0.0.1:{port}"
        headers = {"apikey": settings["SUPABASE_KEY"]}
        found = httpx.get(f"{settings['SUPABASE_URL']}/rest/v1/molecules", headers=headers, trust_env=False)
        assert found.json() == []
        servers = [os.pidfd_open(pid) for pid in _children(program.pid)]
        assert len(servers) == 2
        stop(program, how)
    for server in servers:
        gone = select.poll()
        gone.register(server, select.POLLIN)
        assert gone.poll(20_000)
        os.close(server)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

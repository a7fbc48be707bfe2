"""The pages of the documentation: all of their code runs, and does what the text around it says."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import storage
from cli.stores.migration import migrate_old_data
from cli.stores.migration import migrate_places
from config.settings import load_settings
from config.settings import settings_table
from database import RecordChange
from database import SyncManager
from database import columns
from database import internal_tables
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.core.context import as_application
from database.core.tables.schema import Schema
from database.declared import declared_schema
from database.schema.migrations import runner
from storage import FileEntries
from storage import MemoryEntries
from storage import Store
from storage import Stores
from storage.manager import environment
from tests import laboratory
from tests.contract.backends import supabase_database
from tests.documents.blocks import Block
from tests.documents.blocks import blocks
from tests.documents.conftest import Run
from tests.documents.optimizer import Client
from tests.integration.http.server.test_server import ROOT
from tests.integration.http.server.test_server import serving
from tests.integration.http.support import make_site
from tests.servers.available import available
from tests.servers.convex_deployment import DEPLOY_KEY
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.redis import PASSWORD
from tests.servers.redis import RedisServer
from tests.servers.tokens import TokenSigner

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {
    f"{page.stem}/{language}/{number}": block
    for page in PAGES
    for language in ("python", "sh", "ts")
    for number, block in enumerate(blocks(page, language), 1)
}
_OWN_FILES = ("make-it-yours/", "adopt/", "move/", "evaluations/", "experiments/")
ELSEWHERE = {"callers/python/1", *(name for name in BLOCKS if name.startswith(_OWN_FILES))}
"""Blocks with a test file of their own."""

HOST = '"host": "127.0.0.1", "user": "postgres", "password": "…"'
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_covered = set(ELSEWHERE)


def runs(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say which blocks a test runs."""
    _covered.update(names)
    return lambda test: test


def test_every_block_is_run() -> None:
    assert _covered == BLOCKS.keys()
    assert len(BLOCKS) == sum(page.read_text().count("\n```") for page in PAGES) / 2


def test_every_link_leads_to_a_page() -> None:
    links = [(page, link) for page in PAGES for link in _LINK.findall(page.read_text())]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
    linked = {(page.parent / link).resolve() for page, link in links}
    assert {page for page in PAGES[1:] if page not in linked} == set()


@runs("agents/python/1", "agents/python/2")
def test_a_client_of_agents(
    postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, own_environment: None
) -> None:
    monkeypatch.setenv("POSTGRES_CONNECTION_STRING", postgres_database.url)
    with BLOCKS["agents/python/1"].run()["storage"] as client:
        assert client.get_state("reviewer", "run-2") == {"step": 1}
        assert client.get_conversation_history("chat-1") == [{"role": "user", "text": "Hello"}]
        assert len(client.get_transactions("case-1")) == 2
    declared = BLOCKS["agents/python/2"].run()["RECORD_STORES"]["agents"]
    assert {action: str(access) for action, access in declared.grants("agents").items()} == {
        "read": "user",
        "write": "role agent",
        "delete": "role admin",
    }


@runs("storage/python/1")
def test_a_store(tmp_path: Path) -> None:
    block = BLOCKS["storage/python/1"].with_replaced({"./data": str(tmp_path), "store.clear(": "# store.clear("})
    store = block.run()["store"]
    assert {key: store.load(key) for key in store.keys()} == {"note:1": {"title": "Boiled"}}  # noqa: SIM118


@runs("storage/python/2")
def test_a_stream() -> None:
    found = BLOCKS["storage/python/2"].run(store=Store(MemoryEntries()))
    assert (found["rest"], found["entry"].size) == (b"".join(b"%09d\n" % number for number in range(500, 1000)), 10_000)


@runs("storage/python/3")
def test_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    BLOCKS["storage/python/3"].run()
    assert capsys.readouterr().out == "boiling 0.993884 {'text': 'Boiling'}\n"


@runs("storage/python/4", "storage/python/5", "storage/python/6")
def test_layers(own_environment: None) -> None:
    database = MemoryAdapter(schema=Schema.of(internal_tables.metadata))
    names = {name: getattr(storage, name) for name in storage.__all__}
    made = BLOCKS["storage/python/4"].run(**names, database=database, key=os.urandom(32), secret=os.urandom(32))
    block = BLOCKS["storage/python/5"].with_replaced({"places  #": "FOUND = dict(places)  #"})
    assert block.run(**names, store=made["store"])["FOUND"] == {"main": True, "copy": True}
    done = BLOCKS["storage/python/6"].run(**names, store=made["store"])["retention"].apply(dry_run=True)
    assert [one.rule.prefix for one in done] == ["log:", "draft:"]
    made["store"].close()


@runs("storage/python/7")
def test_the_stores_of_an_application() -> None:
    key = f"2026={b64encode(os.urandom(32)).decode()}"
    declared = BLOCKS["storage/python/7"].run()["STORES"]
    stores = Stores(declared, load_settings(None, ENVIRONMENT="testing", STORAGE_KEYS=key), MemoryAdapter())
    assert {name: store.backend.kind for name, store in stores.items()} == {
        "default": "table",
        "drafts": "table",
        "pictures": "s3",
    }
    with as_application():
        assert list(stores["drafts"].keys()) == []
    stores.close()


@runs("storage/python/8")
def test_a_data_manager(
    postgres_database: PostgresDatabase,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    own_environment: None,
) -> None:
    process = environment.Process()
    monkeypatch.setattr(environment, "_process", process)
    database = ", ".join(f"{name}={value!r}" for name, value in asdict(postgres_database).items())
    block = BLOCKS["storage/python/8"].with_replaced(
        {
            'host="localhost", database="app", user="app", password="secret"': database,
            'RedisProvider(host="localhost")': f'RedisProvider(port={redis_server.port}, password="{PASSWORD}")',
        }
    )
    names = block.run()
    assert names["count_logins"]() == 0
    assert names["dm"].retrieve("storage://redis/session%3Aabc") == {"session": "abc"}
    process.manager.close()


@runs("storage/python/9")
def test_asynchronous_storage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client = Client()
    block = BLOCKS["storage/python/9"].with_replaced({"./data": str(tmp_path)})
    asyncio.run(block.run()["optimize"](client))
    assert "save_rl_data: works\n" in capsys.readouterr().out
    assert client.runs["r1"]["system_name"] == "search"


# Commands


@runs("README/sh/1", "README/sh/3", "README/sh/4")
def test_the_targets_and_the_settings_exist() -> None:
    text = "".join(BLOCKS[name].code for name in ("README/sh/1", "README/sh/3", "README/sh/4"))
    targets = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert targets == {"run", "test", "convex-dev", "supabase-dev"}
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    settings = set(re.findall(r"`([A-Z_]+)`", settings_table()))
    assert {name for name in re.findall(r"\b([A-Z_]+)=", text) if name != "SUPABASE_DB_"} <= settings


@runs("README/sh/2")
def test_the_first_steps(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, port):
        told = shell(tmp_path, first_steps(port))
    assert "HTTP/1.1 201" in told
    assert told.count('"name":"Water"') == 2


@runs("auth/sh/2")
def test_the_requests_of_a_session(tmp_path: Path) -> None:
    sent = '{"refresh_token": "isr_…"}'
    requests = BLOCKS["auth/sh/2"].with_replaced({f"'{sent}'": '"$body"', "curl -s ": "curl -s -w %{http_code} "})
    with serving(tmp_path) as (_, port):
        names, _, rest = first_steps(port).partition("\n")
        register = rest.partition("token=")[0]
        login = register.replace("/register", "/login").strip()
        shell(tmp_path, f"{names}\n{register}")
        sign_in = f"""{names}\npair=$({login})
token=$(sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/' <<<"$pair")
body='{sent}'; body=${{body/isr_…/$(sed 's/.*"refresh_token":"\\([^"]*\\)".*/\\1/' <<<"$pair")}}\n"""
        answers = [shell(tmp_path, sign_in + one) for one in requests.code.replace("\\\n", "").splitlines()]
    assert [answer[-3:] for answer in answers] == ["200", "200", "204", "204"]


def first_steps(port: int) -> str:
    return BLOCKS["README/sh/2"].with_replaced({"http://127.0.0.1:8000": f"http://127.0.0.1:{port}"}).code


@runs("auth/sh/1")
def test_the_commands_of_the_keys(tmp_path: Path) -> None:
    site = make_site(tmp_path, JWT_KEYRING_PASSWORD="p" * 40)
    for line in BLOCKS["auth/sh/1"].code.splitlines():
        command = line.partition("#")[0].split()
        assert command[:2] == [".venv/bin/flask", "auth"]
        done = site.app.test_cli_runner().invoke(args=command[1:])
        assert done.exit_code == 0, done.output
        assert done.output
    site.close()


@runs("storage/sh/1", "storage/sh/2")
def test_the_commands_that_move_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Store(FileEntries("./data")).put("key", 1)
    (tmp_path / "old" / "evaluations").mkdir(parents=True)
    site = make_site(tmp_path)
    site.app.test_cli_runner().invoke(args=["db", "upgrade"])
    first, second = BLOCKS["storage/sh/1"].code.splitlines()
    old = BLOCKS["storage/sh/2"].with_replaced({"/src/storage": "./old", "--target /storage": "--target ./new"}).code
    entries = CliRunner().invoke(migrate_places, first.split()[3:])
    declared = site.app.test_cli_runner().invoke(args=second.split()[1:])
    evaluations = CliRunner().invoke(migrate_old_data, old.split()[2:])
    site.close()
    assert "1 entries: 1 copied" in entries.output
    assert "0 entries: 0 to be copied" in declared.output
    assert "0 records: 0 copied" in evaluations.output


@runs("auth/sh/3")
def test_the_settings_of_an_issuer() -> None:
    name, _, value = BLOCKS["auth/sh/3"].code.strip().partition("=")
    settings = load_settings(None, **{name: value.strip("'").replace("<ref>", "abc")})
    assert [issuer.name for issuer in settings.auth_foreign_issuers] == ["supabase"]


@runs("auth/sh/4")
def test_the_settings_of_a_project_with_its_own_users() -> None:
    first, _, rest = BLOCKS["auth/sh/4"].code.strip().partition("\n")
    given = {line.partition("=")[0]: line.partition("=")[2] for line in (first, rest)}
    settings = load_settings(None, **{name: value.strip("'").replace("<ref>", "abc") for name, value in given.items()})
    assert not settings.auth_accounts
    assert [issuer.bearer for issuer in settings.auth_foreign_issuers] == [True]


def shell(folder: Path, script: str) -> str:
    """What a script prints. :raises CalledProcessError: if a command of it fails."""
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# Python


@runs("README/python/1")
def test_a_view_of_ones_own(tmp_path: Path, run: Run) -> None:
    site = make_site(tmp_path)
    site.app.register_blueprint(run(BLOCKS["README/python/1"])["lab"])
    ada = site.register("ada")
    molecule = site.post("/api/molecules", {"name": "Water"}, ada).json["id"]
    assert site.post(f"/lab/{molecule}/boil", {"at": 100}).status_code == 401
    boiled = site.post(f"/lab/{molecule}/boil", {"at": 100}, ada)
    assert (boiled.status_code, boiled.json["results"]) == (201, {"at": 100})
    assert site.post(f"/lab/{molecule}/boil", {"at": 99}, ada).status_code == 409
    site.close()


@runs("access/python/1")
def test_a_table_with_rules(run: Run) -> None:
    metadata = sa.MetaData()
    run(BLOCKS["access/python/1"], sa=sa, metadata=metadata, record_columns=columns.record_columns, text=columns.text)
    rules = Schema.of(metadata).table("diary").rules
    assert rules.owner == "owner_id"
    assert str(rules.of("read")) == "owner or role staff"


@runs("access/python/2")
def test_a_view_that_asks_for_a_permission(tmp_path: Path, run: Run) -> None:
    site = make_site(tmp_path)
    code = BLOCKS["access/python/2"].with_replaced({"import_molecules(): ...": "import_molecules(): return {}"})
    run(code, app=site.app)
    assert site.post("/import", {}, site.register("ada")).status_code == 403
    assert site.post("/import", {}, site.admin()).status_code == 200
    site.close()


@pytest.fixture
def supabase(postgres_server: PostgresServer) -> PostgresDatabase:
    """A Supabase database with the tables and the log of their changes."""
    database = supabase_database(postgres_server)
    adapter = SupabaseDirectAdapter(credentials(database))
    runner.upgrade(adapter)
    adapter.disconnect()
    return database


def credentials(database: PostgresDatabase) -> dict[str, Any]:
    return {name: getattr(database, name) for name in ("host", "port", "database", "user", "password")}


@runs("python/python/1")
def test_queries_and_a_transaction(run: Run, supabase: PostgresDatabase) -> None:
    block = BLOCKS["python/python/1"].with_replaced({f"{{{HOST}}}": repr(credentials(supabase))})
    found = run(block)["supabase"]
    assert found.table("experiments").select("name").execute().rows == [{"name": "Boiling"}]
    grouped = found.table("molecules").group_by("formula").execute().rows
    assert grouped == [{"formula": "H2O", "count": 1}]


def on(deployment: ConvexDeployment, block: Block) -> Block:
    """The block with the address and the key of a deployment."""
    replaced = {"https://….convex.cloud": deployment.url}
    key = next(text for text in ('"key": "…"', '"convex_key": "…"') if text in block.code)
    return block.with_replaced({**replaced, key: key.replace("…", DEPLOY_KEY)})


@runs("python/python/2")
def test_a_query_is_followed(run: Run, empty_deployment: ConvexDeployment, convex_store: ConvexAdapter) -> None:
    told, changes, seen, over = list[list[str]](), list[RecordChange](), Event(), Event()

    def tell(rows: list[dict[str, Any]]) -> None:
        told.append([row["name"] for row in rows])
        if rows:
            seen.set()

    def tell_change(change: RecordChange) -> None:
        changes.append(change)
        over.set()

    insert = 'insert({"name": "Water", "formula": "H2O"}).execute()'
    update = 'update({"name": "Ice"}).eq("name", "Water").execute()'
    block = on(empty_deployment, BLOCKS["python/python/2"])
    run(
        block.with_replaced(
            {
                "subscribe(print)": "subscribe(TELL)",
                insert: f"{insert}; SEEN.wait(20)",
                "on_changes(print)": "on_changes(TELL_CHANGE)",
                update: f"{update}; OVER.wait(20)",
            }
        ),
        TELL=tell,
        TELL_CHANGE=tell_change,
        SEEN=seen,
        OVER=over,
    )
    assert [(change.type, (change.record or {})["name"]) for change in changes] == [("UPDATE", "Ice")]
    assert told[-1] == ["Water"]
    assert [row["name"] for row in convex_store.table("molecules").execute().rows] == ["Ice"]


@runs("convex/python/1")
def test_an_app_on_convex(run: Run, empty_deployment: ConvexDeployment, convex_store: ConvexAdapter) -> None:
    names = run(on(empty_deployment, BLOCKS["convex/python/1"]))
    client = names["app"].test_client()
    token = names["flask_convex"].get_auth_bridge().generate_token("ada")
    assert client.get("/molecules").json == []
    assert client.post("/water").status_code == 403
    assert client.post("/water", headers={"Authorization": f"Bearer {token}"}).status_code == 201
    assert [row["name"] for row in client.get("/molecules").json] == ["Water"]
    assert client.get("/.well-known/jwks.json").json["keys"]


@runs("convex/ts/1", "convex/python/2")
def test_a_function_of_ones_own_on_convex(run: Run, tmp_path: Path, token_signer: TokenSigner) -> None:
    functions = functions_with(declared_schema(), tmp_path, laboratory.FUNCTIONS)
    (functions / "lab.ts").write_text(BLOCKS["convex/ts/1"].code)
    with available(ConvexDeployment, functions, provider=token_signer.provider) as deployment:
        names = run(on(deployment, BLOCKS["convex/python/1"]))
        run(BLOCKS["convex/python/2"], app=names["app"], convex=names["convex"])
        # Its tokens are of a key of its own, which this deployment does not know, and the commit need not.
        headers = {"Authorization": f"Bearer {names['flask_convex'].get_auth_bridge().generate_token('ada')}"}
        client = names["app"].test_client()
        made = client.post("/boil", json={"degrees": 100}, headers=headers)
        assert (made.status_code, made.json["experiment"]["results"]) == (201, {"degrees": 100.0})
        hot = client.post("/boil", json={"degrees": 401}, headers=headers)
        assert (hot.status_code, hot.json) == (422, {"reason": {"code": "TOO_HOT", "most": 400.0}})
        assert [row["name"] for row in client.get("/molecules").json] == ["Water"]


@runs("sync/python/1")
def test_two_databases_are_synced(
    run: Run, supabase: PostgresDatabase, empty_deployment: ConvexDeployment, convex_store: ConvexAdapter
) -> None:
    adapter = SupabaseDirectAdapter(credentials(supabase))
    convex = ConvexAdapter({"url": empty_deployment.url, "key": DEPLOY_KEY})
    adapter.table("molecules").insert({"id": "m", "name": "Water"}).execute()
    block = BLOCKS["sync/python/1"].with_replaced(
        {'force_sync_record("molecules", "…")': 'force_sync_record("molecules", "m")'}
    )
    with as_application():
        run(block, supabase=adapter, convex=convex)
    assert [row["name"] for row in convex_store.table("molecules").execute().rows] == ["Water"]
    adapter.disconnect()
    convex.disconnect()


@runs("sync/python/2", "sync/python/3")
def test_conflicts_of_sync_are_resolved(run: Run) -> None:
    names = run(BLOCKS["sync/python/2"])
    booking = [sa.Column("slot", sa.String, unique=True), *columns.record_columns()]
    sa.Table("bookings", names["metadata"], *booking)
    schema = Schema.of(names["metadata"], internal_tables.metadata)
    first, second = MemoryAdapter({}, schema, "first"), MemoryAdapter({}, schema, "second")
    keep_equal = run(BLOCKS["sync/python/3"])["keep_equal"]
    with as_application():
        first.table("wells").insert({"id": "w", "visits": 1, "tags": ["a"]}).execute()
        assert keep_equal(first, second).sync_all()
        for side, tag in ((first, "b"), (second, "c")):
            side.table("bookings").insert({"id": tag, "slot": "9:00"}).execute()
        manager = keep_equal(first, second)
        assert manager.sync_all(), manager.get_sync_status()
        assert [row["id"] for row in second.table("bookings").execute().rows] == ["b"]
        for side, tag in ((first, "d"), (second, "e")):
            side.table("wells").update({"visits": 2, "tags": ["a", tag]}).eq("id", "w").execute()
        assert SyncManager(first, second, conflict_resolution="merge").sync_all()
        (well,) = second.table("wells").execute().rows
    assert (well["visits"], well["tags"]) == (3, ["a", "d", "e"])

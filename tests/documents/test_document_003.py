"""Document 003, "Convex Backend Integration": all of its code runs, and does what the text around it says."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from flask import Flask

from api.flask_convex import init_flask_convex
from auth.bridge import AuthBridge
from config.settings import load_settings
from database import internal_tables
from database.backends.convex import ConvexAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.core.context import as_application
from database.core.errors import BackendError
from database.core.errors import RequestError
from database.schema.migrations import runner
from tests.contract.backends import supabase_database
from tests.documents.blocks import Block
from tests.documents.blocks import blocks
from tests.documents.conftest import Run
from tests.integration.flask_convex.support import names_in
from tests.laboratory.config import tables as laboratory
from tests.servers.convex_deployment import DEPLOY_KEY
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.tokens import TokenSigner

DOCUMENT = Path(__file__).with_name("003.txt")
PYTHON = {block.section: block for block in blocks(DOCUMENT, "python")}
(INI,) = blocks(DOCUMENT, "ini")

IMPORTS = {
    "from database.enhanced_convex_adapter import": "from database.backends.convex import",
    "from database.flask_convex_integration import": "from api.flask_convex import",
    "from database.auth_bridge import": "from auth.bridge import",
    "from database.supabase_adapter import": "from database.backends.postgres import",
    "from database.convex_sync import": "from database.sync import",
}
CONVEX = {"https://dynamic-mink-63.convex.cloud": "{url}", "your-deployment-key": DEPLOY_KEY}
SUPABASE = {
    "'host': 'your-supabase-host'": "'host': '{host}', 'port': {port}, 'database': '{database}'",
    "your-supabase-user": "{user}",
    "your-supabase-password": "{password}",
}
REPLACEMENTS = IMPORTS | CONVEX | SUPABASE
"""All that is changed of the code, before each test's own variations."""

_covered: set[str] = set()


def runs(section: str) -> pytest.MarkDecorator:
    """The test's ``block`` is that section's, with the replacements."""
    _covered.add(section)
    return pytest.mark.parametrize("block", [section], ids=[section], indirect=True)


@pytest.fixture
def block(request: pytest.FixtureRequest, empty_deployment: ConvexDeployment) -> Block:
    return adapted(request.param, url=empty_deployment.url)


def adapted(section: str, **values: Any) -> Block:
    """The section's block with the replacements that have something to replace in it."""
    block = PYTHON[section]
    found = {text: other for text, other in REPLACEMENTS.items() if text in block.code}
    return block.with_replaced({text: other.format(**values) for text, other in found.items()})


def test_every_block_of_the_document_is_run() -> None:
    assert _covered == PYTHON.keys()
    assert len(PYTHON) == DOCUMENT.read_text().count("```python")


@pytest.mark.parametrize("text", REPLACEMENTS)
def test_every_replacement_has_something_to_replace(text: str) -> None:
    assert any(text in block.code for block in PYTHON.values())


# Usage examples


@runs("Usage Examples / Basic Connection and Query")
def test_a_query_finds_the_molecules(
    block: Block, run: Run, convex_store: ConvexAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    convex_store.table("molecules").insert([{"name": f"m{number}"} for number in range(12)]).execute()
    molecules = run(block)["molecules"]
    assert [molecule["name"] for molecule in molecules] == [f"m{number}" for number in range(10)]
    assert capsys.readouterr().out == "Found 10 molecules\n"


@runs("Usage Examples / Flask Integration")
def test_a_route_answers_with_the_molecules(block: Block, run: Run, convex_store: ConvexAdapter) -> None:
    app = run(block)["app"]
    assert app.test_client().get("/api/molecules").json == []
    convex_store.table("molecules").insert({"name": "Water", "formula": "H2O"}).execute()
    answer = app.test_client().get("/api/molecules")
    assert answer.status_code == 200
    assert [(row["name"], row["formula"]) for row in answer.json] == [("Water", "H2O")]


@runs("Usage Examples / Transactions")
def test_a_transaction_block_is_committed_on_success(
    block: Block, run: Run, convex_store: ConvexAdapter, empty_deployment: ConvexDeployment
) -> None:
    before = run(adapted("Usage Examples / Flask Integration", url=empty_deployment.url))
    with as_application():
        run(block, app=before["app"], convex=before["convex"])
    assert names_in(convex_store, "molecules") == ["Water"]
    assert names_in(convex_store, "experiments") == ["Water Experiment"]
    assert empty_deployment.requests().functions["isthmus:commit"] == 1


@runs("Usage Examples / Transactions")
@pytest.mark.usefixtures("convex_environment")
def test_a_transaction_block_needs_only_the_environment(block: Block, run: Run, convex_store: ConvexAdapter) -> None:
    app = Flask("document")
    convex = init_flask_convex(app).get_convex_adapter()
    with as_application():
        run(block, app=app, convex=convex)
    assert names_in(convex_store, "molecules") == ["Water"]
    assert names_in(convex_store, "experiments") == ["Water Experiment"]


@runs("Usage Examples / Transactions")
def test_a_transaction_block_is_rolled_back_on_exception(
    block: Block, run: Run, convex_store: ConvexAdapter, empty_deployment: ConvexDeployment
) -> None:
    before = run(adapted("Usage Examples / Flask Integration", url=empty_deployment.url))
    failing = block.with_replaced({"# Transaction is automatically committed on success": "raise LookupError"})
    with pytest.raises(LookupError), as_application():
        run(failing, app=before["app"], convex=before["convex"])
    assert names_in(convex_store, "molecules") == []
    assert names_in(convex_store, "experiments") == []


@runs("Usage Examples / Connection Manager")
@pytest.mark.usefixtures("convex_environment")
def test_the_manager_uses_convex(
    block: Block,
    run: Run,
    convex_store: ConvexAdapter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    convex_store.table("molecules").insert([{"name": f"m{number}"} for number in range(11)]).execute()
    monkeypatch.setenv("DB_ADAPTER_ORDER", "convex,memory")
    names = run(block)
    assert names["adapter"].get_connection_info()["adapter_type"] == "convex"
    assert capsys.readouterr().out == "Found 10 molecules\n"


@runs("Usage Examples / Connection Manager")
def test_the_manager_uses_supabase(
    block: Block,
    run: Run,
    supabase_environment: PostgresDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with psycopg.connect(supabase_environment.dsn) as connection:
        connection.execute(
            "insert into molecules (id, name, created_at, updated_at, version) values ('m', 'Water', now(), now(), 1)"
        )
    monkeypatch.setenv("DB_ADAPTER_ORDER", "supabase,memory")
    names = run(block)
    assert [row["name"] for row in names["result"]] == ["Water"]
    assert capsys.readouterr().out == "Found 1 molecules\n"


@runs("Usage Examples / Connection Manager")
@pytest.mark.usefixtures("convex_environment")
def test_the_manager_tries_the_adapters_in_order(
    block: Block, run: Run, empty_deployment: ConvexDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_ADAPTER_ORDER", "convex,memory")
    empty_deployment.faults.add("drop", count=None)
    assert run(block)["adapter"].get_connection_info()["adapter_type"] == "memory"


@pytest.fixture
def supabase_environment(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresDatabase:
    """A Supabase database with the tables, as the environment names it."""
    database = supabase_database(postgres_server)
    for metadata in (laboratory.metadata, internal_tables.metadata):
        database.create(metadata)
    for name in ("host", "port", "user", "password"):
        monkeypatch.setenv(f"SUPABASE_DB_{name.upper()}", str(getattr(database, name)))
    monkeypatch.setenv("SUPABASE_DB_NAME", database.database)
    return database


# Bidirectional sync

SYNC = "Bidirectional Sync"
_CREDENTIALS = ("host", "port", "database", "user", "password")
_covered.add(SYNC)


@pytest.fixture
def sync_block(empty_deployment: ConvexDeployment, supabase_to_sync: PostgresDatabase) -> Block:
    values = {name: getattr(supabase_to_sync, name) for name in _CREDENTIALS}
    return adapted(SYNC, url=empty_deployment.url, **values)


@pytest.fixture
def supabase_to_sync(postgres_server: PostgresServer) -> PostgresDatabase:
    """A Supabase database with the tables and the log of their changes, and two records."""
    database = supabase_database(postgres_server)
    adapter = SupabaseDirectAdapter({name: getattr(database, name) for name in _CREDENTIALS})
    runner.upgrade(adapter)
    adapter.table("molecules").insert(
        [{"id": "molecule-id-123", "name": "Water"}, {"id": "m", "name": "Salt"}]
    ).execute()
    adapter.disconnect()
    return database


def test_a_record_is_synced_by_force(sync_block: Block, run: Run, convex_store: ConvexAdapter) -> None:
    names = run(sync_block)
    assert names["sync_manager"].get_sync_status()["running"] is False
    assert convex_store.get("molecules", "molecule-id-123") == names["supabase"].get("molecules", "molecule-id-123")


def test_data_is_kept_consistent_in_the_background(sync_block: Block, run: Run, convex_store: ConvexAdapter) -> None:
    convex_store.table("experiments").insert({"id": "e", "name": "Boiling"}).execute()
    complete = Event()
    told = {"sync_manager.start_sync": "sync_manager.set_callbacks(on_sync_complete=TOLD)\nsync_manager.start_sync"}
    waited = {"sync_manager.stop_sync_thread()": "COMPLETE.wait(20)\nsync_manager.stop_sync_thread()"}
    names = run(sync_block.with_replaced(told | waited), TOLD=lambda _: complete.set(), COMPLETE=complete)
    assert names_in(convex_store, "molecules") == ["Salt", "Water"]
    assert names_in(names["supabase"], "experiments") == ["Boiling"]


# Resilience features


@runs("Resilience Features / Retry Logic")
def test_three_failures_are_retried(block: Block, run: Run, empty_deployment: ConvexDeployment) -> None:
    convex = run(block, ConvexAdapter=ConvexAdapter)["convex"]
    empty_deployment.faults.add("drop", path="molecules:get", count=3)
    assert convex.execute_query("molecules:get", {"id": "none"}) is None
    assert empty_deployment.requests().functions["molecules:get"] == 4


@runs("Resilience Features / Retry Logic")
def test_four_failures_are_too_many(block: Block, run: Run, empty_deployment: ConvexDeployment) -> None:
    convex = run(block, ConvexAdapter=ConvexAdapter)["convex"]
    empty_deployment.faults.add("drop", path="molecules:get", count=4)
    with pytest.raises(BackendError):
        convex.execute_query("molecules:get", {"id": "none"})
    assert empty_deployment.requests().functions["molecules:get"] == 4


@runs("Resilience Features / Timeout Handling")
def test_a_slow_answer_is_waited_for(block: Block, run: Run, empty_deployment: ConvexDeployment) -> None:
    convex = run(block, ConvexAdapter=ConvexAdapter)["convex"]
    empty_deployment.faults.add("delay", path="molecules:get", ms=300)
    assert convex.execute_query("molecules:get", {"id": "none"}) is None


@runs("Resilience Features / Timeout Handling")
def test_a_hanging_request_ends(block: Block, run: Run, empty_deployment: ConvexDeployment) -> None:
    convex = run(block.with_replaced({"'timeout': 30": "'timeout': 0.2"}), ConvexAdapter=ConvexAdapter)["convex"]
    empty_deployment.faults.add("delay", path="molecules:get", ms=10_000)
    with pytest.raises(TimeoutError):
        convex.execute_query("molecules:get", {"id": "none"})


# Authentication


@runs("Authentication")
def test_a_token_says_who_and_in_which_role(block: Block, run: Run) -> None:
    names = run(block)
    claims = names["auth_bridge"].validate_token(names["token"])
    assert claims["sub"] == "user_123"
    assert claims["role"] == "authenticated", "the role that Supabase's PostgreSQL knows"
    assert claims["app_metadata"]["role"] == "admin"
    assert claims["exp"] - claims["iat"] == 86400
    identity = names["convex_identity"]
    assert identity["tokenIdentifier"] == "user@example.com"
    assert identity["traits"] == {"role": "admin", "name": "Example User"}
    assert names["auth_bridge"].validate_token(identity["token"])["sub"] == "user_123"


@runs("Authentication")
def test_convex_accepts_the_token_of_a_key_it_can_check(
    block: Block, run: Run, empty_deployment: ConvexDeployment, token_signer: TokenSigner
) -> None:
    credentials = {"secret_key='your-jwt-secret'": "key=KEY", "algorithm='HS256'": "issuer=ISSUER"}
    provider = token_signer.provider
    token = run(block.with_replaced(credentials), KEY=token_signer.key, ISSUER=provider.issuer)["token"]
    convex = ConvexAdapter({"url": empty_deployment.url, "key": empty_deployment.deploy_key, "user_token": token})
    viewer = convex.execute_query("api.users.viewer")
    convex.disconnect()
    assert viewer == {"subject": "user_123", "issuer": provider.issuer, "role": "admin", "service": False}


# Transactions


@runs("Transactions")
def test_operations_of_a_transaction_are_committed_together(
    block: Block, run: Run, convex_store: ConvexAdapter
) -> None:
    run(block, convex=convex_store, convex_adapter=convex_store)
    assert names_in(convex_store, "molecules") == ["Water"]
    assert names_in(convex_store, "experiments") == ["Water Experiment"]


@runs("Transactions")
@pytest.mark.usefixtures("convex_environment")
def test_the_integration_takes_part_in_a_transaction(block: Block, run: Run, convex_store: ConvexAdapter) -> None:
    integration = init_flask_convex(Flask("document"))
    with as_application():
        run(block, convex=integration.get_convex_adapter(), convex_adapter=integration)
    assert names_in(convex_store, "molecules") == ["Water"]
    assert names_in(convex_store, "experiments") == ["Water Experiment"]


@runs("Transactions")
def test_operations_of_a_failed_transaction_are_undone_together(
    block: Block, run: Run, convex_store: ConvexAdapter
) -> None:
    failing = block.with_replaced({"VALUES ('Water Experiment')": "VALUES (NULL)"})
    with pytest.raises(RequestError):
        run(failing, convex=convex_store, convex_adapter=convex_store)
    assert names_in(convex_store, "molecules") == []
    assert names_in(convex_store, "experiments") == []
    assert convex_store.get_connection_info()["active_transactions"] == 0


# Monitoring


@runs("Monitoring")
def test_monitoring_of_a_connected_adapter(
    block: Block, run: Run, convex_store: ConvexAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    convex_store.connect()
    transaction = convex_store.begin_transaction()
    run(block, convex=convex_store)
    transaction.rollback()
    assert capsys.readouterr().out.splitlines() == [
        "Convex connection status: True",
        "Circuit breaker state: closed",
        "Active transactions: 1",
        "Connection test: Connection successful",
    ]


@runs("Monitoring")
def test_monitoring_of_an_open_circuit(
    block: Block, run: Run, empty_deployment: ConvexDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "url": empty_deployment.url,
        "key": empty_deployment.deploy_key,
        "retry_count": 0,
        "circuit_breaker_threshold": 2,
    }
    convex = ConvexAdapter(config)
    empty_deployment.faults.add("drop", count=None)
    for _ in range(2):
        assert not convex.test_connection()[0]
    sent = empty_deployment.requests().routes
    run(block, convex=convex)
    assert empty_deployment.requests().routes == sent, "requests are blocked"
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == [
        "Convex connection status: False",
        "Circuit breaker state: open",
        "Active transactions: 0",
    ]
    assert shown[3].startswith("Connection test: Connection error: ")


# Configuration


def settings_of_the_document() -> dict[str, str]:
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string("[settings]\n" + INI.code)
    return dict(parser["settings"])


def test_the_settings_mean_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_of_the_document().items():
        monkeypatch.setenv(name, value)
    settings = load_settings(None)
    assert settings == load_settings(None, **settings_of_the_document()), "which refuses a setting that does not exist"
    convex = settings.convex
    assert convex.url == "https://dynamic-mink-63.convex.cloud"
    assert convex.deployment_key is not None
    assert convex.deployment_key.get_secret_value() == "your-deployment-key"
    assert (convex.db_enabled, convex.timeout, convex.retry_count) == (True, 30, 3)
    assert (convex.circuit_breaker_threshold, convex.circuit_breaker_timeout) == (5, 60)
    assert convex.sync_interval == 60
    assert convex.sync_tables == ("molecules", "experiments", "protocols")
    assert convex.conflict_resolution == "last_modified"
    bridge = AuthBridge(settings=settings)
    assert (bridge.key.algorithm, bridge.expiry) == ("HS256", 86400)

"""What a process does not use it does not load: every command, and every process of a server, would pay for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from database.backends.sqlite import SQLiteAdapter
from database.schema.migrations.runner import upgrade
from tests.laboratory import ENVIRONMENT
from tests.simulation.served import ROOT

UNUSED: Final = frozenset(
    {"alembic", "boto3", "botocore", "convex", "granian", "httpcore", "httpx", "mako", "postgrest", "psycopg"}
    | {"psycopg_pool", "pybreaker", "realtime", "redis", "sqlglot", "storage3", "supabase", "supabase_auth"}
    | {"zstandard"}
)
"""Neither SQLite nor memory, nor a command that only shows something, needs these."""

_HEAD: Final = """
import sys
from app import create_app

app = create_app()

def show(what):
    print(what, *sorted({name.partition(".")[0] for name in sys.modules}))

show("create_app")
"""
_COMMANDS: Final = """
for line in ("--help", "auth --help", "db --help", "db upgrade --help", "sync --help", "auth keys"):
    result = app.test_cli_runner().invoke(args=line.split())
    assert result.exit_code == 0, result.output
    show(line.replace(" ", "_"))
"""


def loaded(folder: Path, program: str, **settings: str) -> dict[str, set[str]]:
    """The packages that are loaded at each ``show`` of the program, which runs in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", _HEAD + program],
        cwd=ROOT,
        env={"PATH": os.defpath, **ENVIRONMENT, "ENVIRONMENT": "testing", "INSTANCE_PATH": str(folder), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return {what: set(names) for what, *names in map(str.split, ended.stdout.splitlines())}


@pytest.mark.parametrize(("order", "driver"), [("local", set()), ("memory", {"apsw"})])
def test_making_the_application_and_its_commands_load_nothing_unused(
    tmp_path: Path, order: str, driver: set[str]
) -> None:
    shown = loaded(tmp_path, _COMMANDS, DB_ADAPTER_ORDER=order)
    assert len(shown) == 7
    assert {what: names & (UNUSED | driver) for what, names in shown.items()} == {what: set() for what in shown}
    assert {"flask", "sqlalchemy"} <= shown["create_app"]


def test_that_there_is_nothing_to_migrate_is_found_without_alembic(tmp_path: Path) -> None:
    adapter = SQLiteAdapter({"path": str(tmp_path / "isthmus.db")})
    upgrade(adapter)
    adapter.disconnect()
    start = """
from api.operations import auto_migration
from database.extension import Isthmus
auto_migration.start(app)
assert not Isthmus.of(app)[auto_migration.AutoMigration]._waiting
"""
    path = str(tmp_path / "isthmus.db")
    shown = loaded(tmp_path, f'{start}\nshow("start")', DB_ADAPTER_ORDER="local", LOCAL_DB_PATH=path)
    assert not shown["start"] & UNUSED


def test_what_is_configured_is_loaded_before_the_first_request(tmp_path: Path) -> None:
    shown = loaded(
        tmp_path,
        'from api import server\nserver.serving._load_for_requests()\nshow("serve")',
        DB_ADAPTER_ORDER="supabase,convex,local",
        SUPABASE_DB_HOST="127.0.0.1",
        CONVEX_URL="http://127.0.0.1:3210",
        CONVEX_DEPLOYMENT_KEY="prod:deployment|key",
        REDIS_URL="redis://127.0.0.1:6379/0",
        AUTH_FOREIGN_ISSUERS='[{"name": "other", "issuer": "https://issuer.example", "audience": "us",'
        ' "algorithms": ["ES256"]}]',
    )
    assert {"psycopg", "psycopg_pool", "convex", "apsw", "redis"} <= shown["create_app"]
    assert {"sqlglot", "granian"} <= shown["serve"]
    # The client of Supabase over HTTP is not what speaks to its database, and other issuers are asked without it.
    assert not shown["serve"] & {"supabase", "httpx"}

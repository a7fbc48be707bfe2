"""Projects that adopt databases of others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from click.testing import Result

from api.operations import auto_migration
from app import create_app
from auth import AuthBridge
from config.settings import load_settings
from database.connection_manager import ConnectionManager
from database.declared import schema_in
from database.extension import Isthmus
from tests.contract.backends import supabase_database
from tests.integration.http.support import CHEAP
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import bearer
from tests.integration.http.support import supabase_settings
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

SCHEMAS = Path(__file__).parents[2] / "schemas"
_EMPTY = "from database import columns\n\nmetadata = columns.table_metadata()\n"
_APPLICATION = "def init_app(app):\n    pass\n"
_numbers = count(1)
_CATALOGUE = (
    "select oid, relname, relkind, relfilenode, relacl, relrowsecurity, relforcerowsecurity from pg_class",
    "select attrelid, attname, atttypid, attnotnull, atthasdef, attisdropped from pg_attribute",
    *(
        f"select * from {name}"
        for name in (
            "pg_policy", "pg_proc", "pg_trigger", "pg_constraint", "pg_namespace", "pg_default_acl", "pg_description",
            "pg_depend", "pg_type", "pg_enum", "pg_db_role_setting",
        )
    ),
)  # fmt: skip


@dataclass
class Project:
    """An application of its own, with a package for its tables."""

    folder: Path
    settings: dict[str, object]

    def __post_init__(self) -> None:
        self.package = f"adopting{next(_numbers)}"
        self.path.mkdir()
        (self.path / "__init__.py").write_text("")
        (self.path / "application.py").write_text(_APPLICATION)
        self.declare(_EMPTY)

    @property
    def path(self) -> Path:
        return self.folder / self.package

    @property
    def file(self) -> Path:
        """The adopted tables."""
        return self.path / "adopted.py"

    def declare(self, source: str | None = None) -> None:
        """Write the module of the tables, by default one that imports the adopted ones."""
        text = f"from {self.package}.adopted import metadata\n" if source is None else source
        (self.path / "tables.py").write_text(text)
        self.forget()

    def forget(self) -> None:
        """Import the modules anew, as the next process would."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.package]:
            del sys.modules[name]
        schema_in.cache_clear()

    def site(self, **settings: object) -> Site:
        self.forget()
        defaults = {"ENVIRONMENT": "testing", "INSTANCE_PATH": self.folder, "PURGE_INTERVAL": 0}
        given = {**defaults, "APPLICATION_PACKAGE": self.package, **self.settings, **settings}
        return Site(create_app(load_settings(None, **given), password_hasher=CHEAP))

    def run(self, *arguments: str) -> Result:
        """Run a command in a process of its own, as it were."""
        site = self.site()
        done = site.app.test_cli_runner().invoke(args=["db", *arguments])
        site.close()
        return done

    def adopt(self, *arguments: str) -> str:
        """Adopt the database and import the tables; what is printed."""
        done = self.run("adopt", *arguments)
        assert done.exit_code == 0, done.output
        if self.file.exists():
            self.declare()
        return done.output


MakeProject = Callable[..., Project]


def caller(site: Site, subject: str) -> Headers:
    """The headers of somebody who is signed in, without an account of ours."""
    return bearer(Isthmus.of(site.app)[AuthBridge].generate_token(subject))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_environment: None) -> Iterator[MakeProject]:
    """Make projects with these settings."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[Project] = []

    def make(**settings: object) -> Project:
        made.append(Project(tmp_path, settings))
        return made[-1]

    yield make
    for one in made:
        one.forget()
    ConnectionManager.set_instance(None)


@pytest.fixture
def supabase(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A database with the roles of a Supabase project."""
    database = supabase_database(postgres_server)
    yield database
    postgres_server.drop_database(database)


def load(database: PostgresDatabase, *names: str) -> None:
    """Make the tables of schemas."""
    for name in names:
        database.execute((SCHEMAS / f"{name}.sql").read_text())


def on_postgres(database: PostgresDatabase) -> dict[str, object]:
    return {**supabase_settings(database), "DB_ADAPTER_ORDER": "supabase"}


def sqlite_file(path: Path, *names: str) -> Path:
    db = apsw.Connection(str(path))
    for name in names:
        db.execute((SCHEMAS / f"{name}.sql").read_text())
    db.close()
    return path


def blocks(report: str) -> dict[str, list[str]]:
    """The lines of a report by table, the first of which is its status."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in report.splitlines():
        if line.startswith("    "):
            lines.append(line.strip())
        elif line.partition(": ")[2].startswith(("usable", "read-only", "left out")):
            name, _, status = line.partition(": ")
            lines = found[name] = [status]
    return found


def rows(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json["data"]
    return data


def fingerprint(database: PostgresDatabase) -> str:
    """Everything that the catalogue says of definitions, grants, policies and triggers."""
    with psycopg.connect(database.dsn) as connection:
        found = [sorted(map(repr, connection.execute(text.encode()))) for text in _CATALOGUE]
    return sha256(repr(found).encode()).hexdigest()


def of_table(database: PostgresDatabase, name: str) -> list[str]:
    """What the catalogue says of one table."""
    asked = (
        f"select relacl, relrowsecurity, obj_description(oid) from pg_class where oid = '{name}'::regclass",
        f"select * from pg_policy where polrelid = '{name}'::regclass",
        f"select * from pg_trigger where tgrelid = '{name}'::regclass and not tgisinternal",
        f"select * from pg_constraint where conrelid = '{name}'::regclass",
        f"select attname, atttypid, attnotnull from pg_attribute where attrelid = '{name}'::regclass",
    )
    with psycopg.connect(database.dsn) as connection:
        return sorted(repr(row) for text in asked for row in connection.execute(text.encode()))


def started(project: Project, **settings: object) -> Site:
    """As `make run` would."""
    site = project.site(**settings)
    auto_migration.start(site.app)
    return site

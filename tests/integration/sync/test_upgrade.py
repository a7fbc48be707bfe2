"""A sync of before the sides were called first and second goes on after an upgrade, with all that it remembers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from typing import Final

import orjson
import pytest
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.result import Row
from database.declared import declared_schema
from database.schema.migrations import own_schema
from database.schema.migrations import runner
from database.schema.migrations.sql_script import supabase_script
from database.schema.sqlalchemy_engine import connected
from database.sync import SyncManager
from database.sync.canonical_rows import CanonicalRows
from database.sync.checkpoint import followers
from tests.integration.convex_functions.support import Functions
from tests.integration.migrations.revisions import OWN
from tests.integration.sync.conftest import _sqlite
from tests.integration.sync.conftest import _supabase
from tests.integration.sync.support import contents
from tests.integration.sync.support import journal
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with

Keep = Callable[[str, dict[str, Any]], object]

PAIRS: Final = ("sqlite memory", "memory sqlite", "postgresql memory", "sqlite convex")
SEED: Final = Path(__file__).parents[1] / "convex_functions" / "functions"
EPOCH: Final = "018f0000-0000-7000-8000-000000000001"
MANAGED: Final = {"created_at": "2026-01-02T03:04:05.000006Z", "updated_at": "2026-01-02T03:04:05.000006Z"}
UNTOUCHED: Final = 30
"""Records that nobody has changed since the last cycle of before."""
RECORDS: Final = [
    {"id": record_id, "name": record_id, "version": 1, **MANAGED}
    for record_id in ("changed here", "deleted there", *map(str, range(UNTOUCHED)))
]


@dataclass(frozen=True, slots=True)
class Before:
    """Two databases that were kept equal.

    :ivar upgraded: with migrations, of which the last is missing.
    :ivar other: without; what it has stays in the form of before.
    :ivar keep: writes a row of sync's own there, in that form.
    """

    upgraded: DatabaseAdapter
    other: DatabaseAdapter
    first: DatabaseAdapter
    second: DatabaseAdapter
    keep: Keep

    @property
    def pair(self) -> str:
        return f"{self.first.name}:{self.second.name}"

    def write(self, table: str, row: dict[str, Any]) -> None:
        """Write a row of sync's own as the version of before did."""
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        with connected(self.upgraded, writes=True) as connection:
            own_schema.widen(connection)
            connection.execute(sa.text(f"insert into isthmus_sync_{table} ({names}) values ({places})"), row)

    def read(self, table: str) -> list[dict[str, Any]]:
        """All rows of sync's own, as they are."""
        with connected(self.upgraded, writes=False) as connection:
            own_schema.widen(connection)
            found = connection.execute(sa.text(f"select * from isthmus_sync_{table} order by id")).mappings()
            return [dict(row) for row in found]

    def remember(self, record: Row, generation: int = 1) -> None:
        """Both sides agreed on this row."""
        key = {"pair": self.pair, "table_name": "molecules", "record_id": record["id"]}
        row = CanonicalRows(self.other.schema.table("molecules")).text(record)
        identity = {"id": _hash(*key.values()), "version": generation, **MANAGED}
        keep = self.write if record["id"].isdigit() else self.keep
        keep("records", {**identity, **key, "session": EPOCH, "row": row})

    def begin(self) -> None:
        """Both sides have been read to this point."""
        cursors = {
            "tables": ["molecules", "protocols", "experiments"],
            "comparing": False,
            "unsettled": False,
            "supabase": self.first.changes().cursor,
            "convex": self.second.changes().cursor,
        }
        row = {"id": self.pair, "version": 7, **MANAGED, "session": EPOCH}
        self.write("cursors", {**row, "cursors": orjson.dumps(cursors).decode()})
        self.keep("cursors", {**row, "cursors": cursors})

    def manager(self) -> SyncManager:
        return SyncManager(self.first, self.second, sync_tables=["molecules"])


def _hash(*parts: str) -> str:
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def _in_memory(adapter: DatabaseAdapter, table: str, row: dict[str, Any]) -> None:
    """Memory has no form of before but that of the JSON in a row."""
    named = {"epoch" if name == "session" else name: value for name, value in row.items()}
    with as_application():
        adapter.run(Insert(f"isthmus_sync_{table}", [named]))


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConvexDeployment]:
    """The application's functions, and one that inserts documents past all checks but those of the schema."""
    functions = functions_with(declared_schema(), tmp_path_factory.mktemp("convex"), SEED)
    with available(ConvexDeployment, functions) as deployment:
        yield deployment


def _other(request: pytest.FixtureRequest, stack: ExitStack, kind: str) -> tuple[DatabaseAdapter, Keep]:
    if kind == "memory":
        memory = MemoryAdapter(name="other")
        return memory, partial(_in_memory, memory)
    deployment: ConvexDeployment = request.getfixturevalue("seeded")
    deployment.reset()
    functions = Functions(deployment.url, f"Convex {deployment.deploy_key}")
    stack.callback(functions.close)
    convex = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
    stack.callback(convex.disconnect)
    return convex, lambda table, row: functions.seed(f"isthmus_sync_{table}", [row])


@pytest.fixture
def before(request: pytest.FixtureRequest) -> Iterator[Before]:
    """Databases with records that are equal, at the revision before the last."""
    kinds = request.param.split()
    (kind,) = set(kinds) & {"sqlite", "postgresql"}
    (beside,) = set(kinds) - {kind}
    with ExitStack() as stack:
        upgraded = _sqlite(request) if kind == "sqlite" else _supabase(request)
        stack.callback(upgraded.disconnect)
        runner.downgrade(upgraded, "0005")
        other, keep = _other(request, stack, beside)
        sides = (upgraded, other) if kinds[0] == kind else (other, upgraded)
        before = Before(upgraded, other, *sides, keep)
        with as_application():
            for adapter in sides:
                adapter.run(Upsert("molecules", RECORDS, returning=False, verbatim=True))
        for row in contents(upgraded)["molecules"]:
            before.remember(row)
        before.begin()
        yield before


def _by_script(adapter: DatabaseAdapter) -> None:
    """As in the SQL editor of a Supabase project."""
    with connected(adapter, writes=True) as connection:
        connection.exec_driver_sql(supabase_script(declared_schema()).replace("%", "%%"))


@pytest.mark.parametrize(
    ("before", "upgrade"),
    [*((pair, runner.upgrade) for pair in PAIRS), ("memory postgresql", _by_script)],
    indirect=["before"],
)
def test_after_the_upgrade_only_what_has_changed_or_failed_is_compared(
    before: Before, upgrade: Callable[[DatabaseAdapter], object]
) -> None:
    _write_journal(before)
    _fail(before, "0")
    with as_application():
        before.upgraded.run(Update("molecules", {"name": "new"}, id="changed here"))
        before.other.run(Delete("molecules", id="deleted there"))
    upgrade(before.upgraded)
    assert runner.check(before.upgraded) == []
    assert "supabase" not in before.read("cursors")[0]["cursors"]
    assert [len(one.cursors) for adapter in (before.upgraded, before.other) for one in followers(adapter)] == [2, 2]
    manager = before.manager()
    assert manager.sync_all(), manager.get_sync_status()
    assert contents(before.first) == contents(before.second)
    names = {row["id"]: row["name"] for row in contents(before.other)["molecules"]}
    assert names["changed here"] == "new"
    assert len(names) == UNTOUCHED + 1, "what was deleted has come back"
    counts = manager.get_sync_status()["tables"]["molecules"]
    assert (counts["compared"], counts["deleted"], counts["conflicts"], counts["failures"]) == (3, 1, 0, 0)
    for adapter in (before.first, before.second):
        (row,) = adapter.table("isthmus_sync_cursors").select().execute().rows
        assert (row["epoch"], row["version"]) == (EPOCH, 8)
        assert set(row["cursors"]) == {"first", "second", "tables", "comparing", "unsettled"}
    _assert_journal(before.upgraded, (before.first.name, before.second.name))


def _write_journal(before: Before) -> None:
    rows = {"base": '{"id":"b"}', "supabase_row": '{"id":"s"}', "convex_row": '{"id":"c"}', "result": None}
    conflict = {"version": 1, **MANAGED, "table_name": "molecules", "record_id": "0", "rule": "supabase_wins", **rows}
    before.write("conflicts", {"id": "a", **conflict, "pair": before.pair})
    before.write("conflicts", {"id": "b", **conflict, "pair": "one:two:three"})


def _fail(before: Before, record_id: str) -> None:
    """What had failed is remembered on the first side."""
    key = {"pair": before.pair, "table_name": "molecules", "record_id": record_id}
    row = {"id": _hash(*key.values()), "version": 1, **MANAGED, **key, "reason": "ConstraintViolated: no"}
    (before.write if before.first is before.upgraded else before.keep)("failures", row)


def _assert_journal(adapter: DatabaseAdapter, names: tuple[str, str]) -> None:
    one, other = journal(adapter)
    for entry in (one, other):
        found = [entry[name] for name in ("rule", "base", "first_row", "second_row", "result")]
        assert found == ["supabase_wins", {"id": "b"}, {"id": "s"}, {"id": "c"}, None]
    assert (one["first_name"], one["second_name"]) == names
    assert (other["pair"], other["first_name"], other["second_name"]) == ("one:two:three", None, None)


@pytest.mark.parametrize("before", ["sqlite memory", "postgresql memory"], indirect=True)
def test_a_downgrade_gives_the_version_of_before_what_it_knows(before: Before) -> None:
    _write_journal(before)
    former = {table: before.read(table) for table in ("cursors", "records", "conflicts")}
    runner.upgrade(before.upgraded)
    assert runner.downgrade(before.upgraded, "0005") == OWN[5:][::-1]
    assert {table: before.read(table) for table in former} == former


def test_functions_of_before_on_convex_are_an_error_and_nothing_is_begun_anew(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    functions = functions_with(declared_schema(), tmp_path)
    for name in ("lib/internal_schema.ts", "lib/internal_tables.ts"):
        text = (functions / name).read_text().replace("epoch: v.optional(v.string()),\n", "")
        (functions / name).write_text(re.sub(r"epoch: (.*), was: .session. }", r"session: \1 }", text))
    with available(ConvexDeployment, functions) as deployment, ExitStack() as stack:
        here = _sqlite(request)
        stack.callback(here.disconnect)
        there = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
        stack.callback(there.disconnect)
        client = Functions(deployment.url, f"Convex {deployment.deploy_key}")
        stack.callback(client.close)
        checkpoint = {"id": "sqlite:convex", "version": 7, **MANAGED, "session": EPOCH, "cursors": {}}
        client.commit({"kind": "insert", "table": "isthmus_sync_cursors", "id": "sqlite:convex", "row": checkpoint})
        manager = SyncManager(here, there)
        assert here.name == "sqlite"
        assert not manager.sync_all()
        error = manager.get_sync_status()["last_error"]
        assert "isthmus_sync_cursors" in error
        assert "'epoch'" in error
        assert here.table("isthmus_sync_cursors").select().execute().rows == []

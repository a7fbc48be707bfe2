"""What ``flask db revision`` writes is run, with rows in the tables, forth and back and forth."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from database.adapter.base import DatabaseAdapter
from database.columns import json
from database.columns import text
from database.columns import timestamp
from database.core.errors import ConstraintViolated
from database.schema.migrations import row_security
from database.schema.migrations import runner
from database.schema.migrations.others import Others
from database.schema.migrations.revisions.rows import CannotBeWritten
from database.schema.sqlalchemy_engine import connected
from tests.integration.migrations.declaring import anew
from tests.integration.migrations.declaring import declared
from tests.integration.migrations.declaring import declaring
from tests.integration.migrations.declaring import own_migrations
from tests.integration.migrations.revisions import APPLICATION

ROOT = Path(__file__).parents[3]
WHEN = datetime(2026, 1, 2, 3, 4, 5, 600000, UTC)

KINDS: dict[str, tuple[Callable[[], sa.types.TypeEngine[Any]], Any]] = {
    "text": (text, "it's: \"50%\" 'quoted'"),
    "short_text": (lambda: text(40), "a:b"),
    "json": (json, {"a": [1, "x:y", None]}),
    "timestamp": (timestamp, WHEN),
    "boolean": (sa.Boolean, True),
    "integer": (sa.Integer, -7),
    "big": (sa.BigInteger, 2**60),
    "small": (sa.SmallInteger, 3),
    "real": (sa.Float, 2.5),
    "plain_string": (sa.String, "plain"),
    "plain_text": (sa.Text, "plain"),
    "plain_json": (sa.JSON, [1, 2]),
    "plain_time": (lambda: sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite"), WHEN),
    "uuid": (lambda: sa.Uuid(as_uuid=False), "0190d3ce-0000-7000-8000-000000000000"),
    "price": (lambda: sa.Numeric(18, 4), Decimal(0)),
    "day": (sa.Date, date(2024, 2, 29)),
    "opens": (sa.Time, time(12, 30, 0, 1)),
    "noted": (sa.DateTime, datetime(2024, 2, 29, 12, 30, 0, 1)),  # noqa: DTZ001
    "cell": (lambda: sa.CHAR(3), "ab"),
    "raw": (sa.LargeBinary, b"\0\xff"),
    "span": (sa.Interval, timedelta(hours=30, microseconds=1)),
    "tags": (lambda: sa.ARRAY(sa.Text), ["a", "b:c"]),
    "days": (lambda: sa.ARRAY(sa.Date), [date(2024, 2, 29)]),
    "states": (lambda: sa.ARRAY(sa.Enum("x", "y", name="order_states")), ["y"]),
    "state": (lambda: sa.Enum("to do", "it's: done", name="order state"), "it's: done"),
    "plain_state": (lambda: sa.Enum("a", "b", name="plain_state", native_enum=False), "b"),
    "Group": (text, "a name with a capital"),
    "order": (text, "a reserved word"),
}
# Bytes, intervals and lists are not stored alike, so that no migration can fill them in.
FILLED = {name: kind for name, kind in KINDS.items() if name not in {"raw", "span", "tags", "days", "states"}}


@pytest.fixture(params=["sqlite", "postgres"])
def adapter(request: pytest.FixtureRequest) -> DatabaseAdapter:
    """A file, and a server; what is different with Supabase's roles has tests of its own."""
    adapter: DatabaseAdapter = request.getfixturevalue(request.param)
    return adapter


def every_column(**options: Any) -> list[sa.schema.SchemaItem]:
    return [sa.Column(name, make(), **options) for name, (make, _) in KINDS.items()]


def with_defaults() -> list[sa.schema.SchemaItem]:
    return [sa.Column(name, make(), nullable=False, default=value) for name, (make, value) in FILLED.items()]


def write(adapter: DatabaseAdapter, folder: Path) -> Path:
    """The next migration after the laboratory's."""
    author = anew(adapter, own_migrations(folder))
    try:
        return runner.revise(author, "What is declared")
    finally:
        author.disconnect()


def run(adapter: DatabaseAdapter, path: Path, direction: str) -> None:
    """Run a migration as the runner does."""
    module: dict[str, Any] = {}
    exec(compile(path.read_text(), path, "exec"), module)  # noqa: S102  # what our own template wrote
    assert module["down_revision"] == APPLICATION[-1]
    with connected(adapter, writes=True) as connection:
        others = Others(set(), set())
        row_security.lift(connection)
        with Operations.context(MigrationContext.configure(connection)):
            module[direction]()
        runner._make_state(connection, adapter, (), others)


def forth_and_back(adapter: DatabaseAdapter, path: Path) -> None:
    runner.upgrade(adapter, always=True)
    before = runner.check(adapter)
    assert before
    run(adapter, path, "upgrade")
    assert runner.check(adapter) == []
    run(adapter, path, "downgrade")
    assert [line.split(":")[0] for line in runner.check(adapter)] == [line.split(":")[0] for line in before]
    run(adapter, path, "upgrade")
    assert runner.check(adapter) == []


def test_a_new_table_has_every_type_and_option(adapter: DatabaseAdapter, tmp_path: Path) -> None:
    table = declared(
        "Orders",
        *every_column(nullable=True),
        sa.Column("email", text(254), nullable=False, unique=True),
        sa.Column("molecule_id", text(255), sa.ForeignKey("molecules.id"), index=True),
        sa.Column("units", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.CheckConstraint("units > 0", name="units_positive"),
        sa.Index("ix_orders_two", "short_text", "integer"),
    )
    with declaring(table):
        path = write(adapter, tmp_path)
        forth_and_back(adapter, path)
        orders = anew(adapter)
        values = {name: value for name, (_, value) in KINDS.items()}
        row = orders.table("Orders").insert({"email": "a@example.org", **values}).execute().rows[0]
        assert values.items() <= orders.get("Orders", row["id"]).items()  # type: ignore[union-attr]
        assert row["units"] == 1
        for wrong in ({"email": "a@example.org"}, {"email": "b", "units": 0}, {"email": "c", "molecule_id": "none"}):
            with pytest.raises(ConstraintViolated):
                orders.table("Orders").insert(wrong).execute()
        orders.disconnect()


def test_new_columns_fill_the_rows_that_are_there(adapter: DatabaseAdapter, tmp_path: Path) -> None:
    with declaring(declared("orders", sa.Column("name", text()))):
        run(adapter, write(adapter, tmp_path), "upgrade")
        former = anew(adapter)
        former.table("orders").insert({"id": "old", "name": "kept"}).execute()
        former.disconnect()
    more = [
        sa.Column("molecule_id", text(255), sa.ForeignKey("molecules.id"), index=True),
        sa.Column("code", text(20), unique=True),
        sa.CheckConstraint("small < 100", name="few"),
    ]
    with declaring(declared("orders", sa.Column("name", text()), *with_defaults(), *more)):
        forth_and_back(adapter, write(adapter, tmp_path))
        orders = anew(adapter)
        values = {name: value for name, (_, value) in FILLED.items()}
        assert {"name": "kept", "code": None, **values}.items() <= orders.get("orders", "old").items()  # type: ignore[union-attr]
        with pytest.raises(ConstraintViolated):
            orders.table("orders").insert({"small": 100}).execute()
        orders.disconnect()


def test_an_enumeration_gets_more_labels(adapter: DatabaseAdapter, tmp_path: Path) -> None:
    with declaring(declared("orders", sa.Column("state", sa.Enum("a", "b", name="order_state")))):
        run(adapter, write(adapter, tmp_path), "upgrade")
    with declaring(declared("orders", sa.Column("state", sa.Enum("c", "a", "b", name="order_state")))):
        lines = runner.check(anew(adapter))
        native = adapter.kind != "sqlite"
        assert ("enumeration order_state: lacks 'c'" in lines) is native
        if native:
            path = write(adapter, tmp_path)
            run(adapter, path, "upgrade")
        orders = anew(adapter)
        (row,) = orders.table("orders").insert({"state": "c"}).execute().rows
        assert (orders.get("orders", row["id"]) or {})["state"] == "c"
        orders.disconnect()


@pytest.mark.parametrize("adapter", ["sqlite", "supabase"], indirect=True)
def test_columns_and_a_constraint_are_dropped(adapter: DatabaseAdapter, tmp_path: Path) -> None:
    more = [
        sa.Column("molecule_id", text(255), sa.ForeignKey("molecules.id"), index=True),
        sa.Column("owner_id", text(255), nullable=False),
        sa.CheckConstraint("name <> ''", name="named"),
    ]
    own = {"read": "owner", "write": "owner", "delete": "owner"}
    with declaring(
        declared("orders", sa.Column("name", text()), *with_defaults(), *more, access=own, owner="owner_id")
    ):
        run(adapter, write(adapter, tmp_path), "upgrade")
        former = anew(adapter)
        former.table("orders").insert({"id": "old", "name": "kept", "owner_id": "me"}).execute()
        former.disconnect()
    with declaring(declared("orders", sa.Column("name", text()))):
        path = write(adapter, tmp_path)
        # With the policies of before, which ask for the column that goes.
        run(adapter, path, "upgrade")
        run(adapter, path, "downgrade")
        forth_and_back(adapter, path)
        orders = anew(adapter)
        assert orders.get("orders", "old")["name"] == "kept"  # type: ignore[index]
        orders.disconnect()


def test_nullability_and_width_change(adapter: DatabaseAdapter, tmp_path: Path) -> None:
    before: list[sa.schema.SchemaItem] = [
        sa.Column("name", text(10)),
        sa.Column("units", sa.Integer),
        sa.Column("note", text(), nullable=False),
    ]
    with declaring(declared("orders", *before)):
        run(adapter, write(adapter, tmp_path), "upgrade")
        former = anew(adapter)
        former.table("orders").insert([{"id": "old", "note": "n"}, {"id": "full", "units": 4, "note": "n"}]).execute()
        former.disconnect()
    after: list[sa.schema.SchemaItem] = [
        sa.Column("name", text(100), nullable=False, default="a: 'none'"),
        sa.Column("units", sa.BigInteger, nullable=False, default=1),
        sa.Column("note", text()),
    ]
    with declaring(declared("orders", *after)):
        forth_and_back(adapter, write(adapter, tmp_path))
        orders = anew(adapter)
        rows = orders.table("orders").select("name, units").order("id").execute().rows
        assert rows == [{"name": "a: 'none'", "units": 4}, {"name": "a: 'none'", "units": 1}]
        orders.disconnect()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (sa.Column("phone", text(), nullable=False), ["orders.phone", "must not be null", "default="]),
        (sa.Column("tags", json(), nullable=False, default=list), ["orders.tags", "must not be null", "default="]),
        (sa.Column("name", sa.BigInteger), ["orders.name", "changes from VARCHAR", "BIGINT", "another name"]),
        (sa.Column("units", sa.Integer, sa.CheckConstraint("units > 0")), ["orders", "check constraint", "name="]),
    ],
)
def test_what_cannot_run_on_rows_is_not_written(
    sqlite: DatabaseAdapter, tmp_path: Path, column: sa.Column[Any], words: list[str]
) -> None:
    with declaring(declared("orders", sa.Column("name", text()))):
        run(sqlite, write(sqlite, tmp_path), "upgrade")
    kept = [] if column.name == "name" else [sa.Column("name", text())]
    with declaring(declared("orders", *kept, column)), pytest.raises(CannotBeWritten) as caught:
        write(sqlite, tmp_path)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert len(list(tmp_path.glob("versions/*.py"))) == len(APPLICATION)


def test_what_is_written_is_in_the_projects_style(sqlite: DatabaseAdapter, tmp_path: Path) -> None:
    table = declared("orders", *with_defaults(), sa.CheckConstraint("integer > 0", name="some"))
    with declaring(table):
        path = write(sqlite, tmp_path)
    assert "info=" not in path.read_text()
    for step in (["check"], ["format", "--check"]):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *step,
            "--no-cache",
            "--config",
            str(ROOT / "pyproject.toml"),
            str(path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + path.read_text()


@pytest.mark.parametrize("message", ["", 'say "so"', "two\nlines", "back\\slash", "x" * 101])
def test_a_message_is_one_plain_line(sqlite: DatabaseAdapter, message: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        runner.revise(sqlite, message)

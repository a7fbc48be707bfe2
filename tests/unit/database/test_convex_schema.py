from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from cli.db import db_commands
from config.settings import load_settings
from database.columns import json
from database.columns import record_columns
from database.columns import text
from database.columns import timestamp
from database.connection_manager import ConnectionManager
from database.core.tables.schema import Schema
from database.extension import Isthmus
from database.schema import convex_schema

FILES = ["schema.ts", "tables.ts", "lib/internal_schema.ts", "lib/internal_tables.ts"]


def test_the_deployed_files_have_the_tables_of_isthmus() -> None:
    """Those of the application are its own affair."""
    assert convex_schema.stale(_schema()) == ["schema.ts", "tables.ts"]


def test_every_kind_has_its_validator() -> None:
    schema_ts = convex_schema.files(_schema())["schema.ts"]
    assert _table(schema_ts, "samples") == [
        "id: v.string(),",
        "created_at: v.string(),",
        "updated_at: v.string(),",
        "version: v.int64(),",
        "lot: v.string(),",
        "position: v.int64(),",
        "mass: v.optional(v.union(v.null(), v.float64())),",
        "done: v.boolean(),",
        "taken_at: v.optional(v.union(v.null(), v.string())),",
        "notes: v.optional(v.any()),",
        "parent_id: v.optional(v.union(v.null(), v.string())),",
        "})",
        '.index("on_id", ["id"])',
        '.index("on_lot_position", ["lot", "position"])',
        '.index("on_mass", ["mass", "id"])',
        '.index("on_parent_id", ["parent_id", "id"]),',
    ]


def test_the_functions_learn_of_every_constraint() -> None:
    tables_ts = convex_schema.files(_schema())["tables.ts"]
    assert 'unique: [["id"], ["lot", "position"]],' in tables_ts
    assert 'references: {\n      parent_id: "samples",\n    },' in tables_ts
    assert 'taken_at: { kind: "timestamp", nullable: true },' in tables_ts


def test_the_order_of_declaration_of_constraints_does_not_matter() -> None:
    def described(*constraints: sa.schema.SchemaItem) -> dict[str, str]:
        metadata = sa.MetaData()
        sa.Table("t", metadata, *record_columns(), sa.Column("a", text()), sa.Column("b", text()), *constraints)
        return convex_schema.files(Schema.of(metadata))

    one = described(sa.UniqueConstraint("a"), sa.UniqueConstraint("b", "a"), sa.Index("i", "b"), sa.Index("j", "a"))
    other = described(sa.Index("j", "a"), sa.Index("i", "b"), sa.UniqueConstraint("b", "a"), sa.UniqueConstraint("a"))
    assert one == other


@pytest.mark.parametrize("name", ["_hidden", "1st", "with space", "naïve", "a" * 65, "$cost", "kebab-case"])
def test_names_that_convex_refuses_are_refused(name: str) -> None:
    table, column = sa.MetaData(), sa.MetaData()
    sa.Table(name, table, *record_columns())
    sa.Table("t", column, *record_columns(), sa.Column(name, text()))
    with pytest.raises(ValueError, match=r"does not allow the name of table "):
        convex_schema.files(Schema.of(table))
    with pytest.raises(ValueError, match=r"does not allow the name of column .* of table 't'"):
        convex_schema.files(Schema.of(column))


@pytest.mark.parametrize(
    ("name", "parts", "problem"),
    [
        ("isthmusChanges", [], "has the name of one of Isthmus's own tables"),
        ("t", [sa.Column("j", json(), unique=True)], "unique JSON column"),
        ("t", [sa.Column("a", text(), sa.ForeignKey("other.code"))], "t.a refers to other.code"),
        ("t", [sa.Column(f"c{i}", text(), index=True) for i in range(32)], "more than 32 indexes"),
        ("t", [sa.Column(f"c{i}", text()) for i in range(1021)], "more than 1024 columns"),
        (
            "t",
            [sa.Column("a", text(), index=True, info={"renamed_from": "b"})],
            "has an index on a; Convex cannot rename an indexed column",
        ),
        (
            "t",
            [sa.Column("a", text(), info={"renamed_from": "b"}), sa.Column("b", text())],
            "column t.a has renamed_from='b', but column 'b' is declared, too",
        ),
        ("t", [sa.Column("a", text(), info={"renamed_from": "1b"})], "does not allow the name of"),
        (
            "t",
            [*[sa.Column(f"c{i}", text()) for i in range(17)], sa.UniqueConstraint(*[f"c{i}" for i in range(17)])],
            "more than 16 columns",
        ),
        (
            "t",
            [*[sa.Column(c, text()) for c in ("a", "b", "a_b")], sa.UniqueConstraint("a", "b"), sa.Index("i", "a_b")],
            "two indexes with the same name 'on_a_b'",
        ),
    ],
)
def test_what_convex_cannot_keep_is_refused(name: str, parts: list[sa.schema.SchemaItem], problem: str) -> None:
    metadata = sa.MetaData()
    sa.Table("other", metadata, *record_columns(), sa.Column("code", text(), unique=True))
    sa.Table(name, metadata, *record_columns(), *parts)
    with pytest.raises(ValueError, match=problem):
        convex_schema.files(Schema.of(metadata))


def test_a_renamed_column_may_lie_under_either_name() -> None:
    metadata = sa.MetaData()
    kinds = {"a": sa.Column("a", text(), nullable=False), "b": sa.Column("b", json())}
    for name, column in kinds.items():
        column.info["renamed_from"] = f"old_{name}"
    sa.Table("t", metadata, sa.Column("id", text(255), primary_key=True), *kinds.values())
    files = convex_schema.files(Schema.of(metadata))
    assert _table(files["schema.ts"], "t") == [
        "id: v.string(),",
        "a: v.optional(v.string()),",
        "old_a: v.optional(v.string()),",
        "b: v.optional(v.any()),",
        "old_b: v.optional(v.any()),",
        '}).index("on_id", ["id"]),',
    ]
    assert 'a: { kind: "text", nullable: false, was: "old_a" },' in files["tables.ts"]


def test_only_files_that_differ_are_written(tmp_path: Path) -> None:
    schema = _schema()
    assert convex_schema.write(schema, tmp_path) == FILES
    assert convex_schema.write(schema, tmp_path) == []
    (tmp_path / "tables.ts").write_text("changed by hand")
    assert convex_schema.stale(schema, tmp_path) == ["tables.ts"]
    assert convex_schema.write(schema, tmp_path) == ["tables.ts"]
    assert (tmp_path / "tables.ts").read_text() == convex_schema.files(schema)["tables.ts"]


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    cli, command = _cli(), ["db", "convex-schema", "--folder", str(tmp_path)]
    behind = cli.invoke(args=[*command, "--check"])
    differing = "".join(f"{name}: differs from the declared tables\n" for name in FILES)
    assert (behind.exit_code, behind.output) == (1, differing)
    assert list(tmp_path.iterdir()) == []
    written = cli.invoke(args=command)
    assert (written.exit_code, written.output) == (0, "".join(f"{name}: written\n" for name in FILES))
    checked = cli.invoke(args=[*command, "--check"])
    assert (checked.exit_code, checked.output) == (0, "as declared\n")


def _schema() -> Schema:
    metadata = sa.MetaData()
    sa.Table(
        "samples",
        metadata,
        *record_columns(),
        sa.Column("lot", text(), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("mass", sa.Double, index=True),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("taken_at", timestamp()),
        sa.Column("notes", json(), index=True),
        sa.Column("parent_id", text(255), sa.ForeignKey("samples.id")),
        sa.UniqueConstraint("lot", "position"),
    )
    return Schema.of(metadata)


def _table(schema_ts: str, name: str) -> list[str]:
    """The lines between a table's name and the next table."""
    _, _, rest = schema_ts.partition(f"  {name}: defineTable({{\n")
    return [line.strip() for line in rest.partition("\n});")[0].splitlines()]


def _cli() -> FlaskCliRunner:
    app = Flask(__name__)
    manager = ConnectionManager(load_settings(None, DB_ADAPTER_ORDER="memory"), schema=_schema())
    Isthmus.of(app)[ConnectionManager] = manager
    app.cli.add_command(db_commands)
    return app.test_cli_runner()

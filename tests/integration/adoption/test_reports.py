"""What is found in databases of known shapes, and what the report says of it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from database.core.tables.schema import Schema
from database.core.tables.schema import table_schema
from database.schema.adoption.found import FoundColumn
from database.schema.adoption.found import FoundReference
from database.schema.adoption.found import FoundTable
from database.schema.adoption.judged import judge
from database.schema.adoption.writing import GivenAccess
from database.schema.adoption.writing import check
from database.schema.adoption.writing import module
from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import blocks
from tests.integration.adoption.conftest import fingerprint
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import on_postgres
from tests.integration.adoption.conftest import started
from tests.servers.postgres import PostgresDatabase

TABLES = {
    ("chinook",): {
        "album", "artist", "customer", "employee", "genre", "invoice", "invoice_line", "media_type", "playlist",
        "playlist_track", "track",
    },
    # Without the partitions, whose rows are those of payment.
    ("pagila",): {
        "actor", "actor_info", "address", "category", "city", "country", "customer", "film", "film_actor",
        "film_category", "films_by_rating", "inventory", "language", "payment", "rental", "staff", "store",
    },
    ("supabase_auth", "supabase_profiles"): {"profiles"},
    ("supabase_auth", "supabase_todos"): {"todos"},
    ("supabase_auth", "supabase_slack"): {"channels", "messages", "role_permissions", "user_roles", "users"},
}  # fmt: skip


@pytest.mark.parametrize("names", TABLES, ids="+".join)
def test_every_table_is_reported_what_is_declared_is_accepted_and_nothing_is_changed(
    supabase: PostgresDatabase, project: MakeProject, names: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    load(supabase, *names)
    before = fingerprint(supabase)
    made = project(**on_postgres(supabase))
    report = blocks(made.adopt("--read", "anyone"))
    assert set(report) == TABLES[names]
    metadata = check(made.file.read_text()) if made.file.exists() else sa.MetaData()
    declared = {name for name, (status, *_) in report.items() if status != "left out"}
    assert set(metadata.tables) == declared
    for name, (_, *reasons) in report.items():
        # Of every table that is not whole the report says why.
        assert reasons or name in declared
    Schema.of(metadata)
    site = started(made)
    for path in ("/readyz", "/status", *(f"/api/{name}" for name in report)):
        assert site.get(path).status_code in {200, 404, 503}
    assert {name for name in report if site.get(f"/api/{name}").status_code == 200} == declared
    site.close()
    assert fingerprint(supabase) == before
    assert "its migrations are not applied, because others made its tables" in caplog.text


def test_the_report_names_what_is_missing_and_why(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, "awkward")
    output = project(**on_postgres(supabase)).adopt()
    report = blocks(output)
    assert report["located"] == [
        "usable without 2 of its 4 columns",
        "without column 'place' (point): its type is not supported by all backends",
        "without column 'words' (tsvector): its type is not supported by all backends",
    ]
    assert report["required"] == [
        "read-only",
        "without column 'place' (point): its type is not supported by all backends",
        "a row cannot be inserted without a column that is required and left out",
    ]
    assert report["versions"] == [
        "usable without 1 of its 3 columns",
        "without column 'version' (text): a column 'version' must be an integer, which counts the changes of a row",
    ]
    assert report["padded"] == ["usable"]
    assert report["timed"][0] == "left out"
    assert report["timed"][1].endswith('; or name the columns that identify a row with `--key "timed"=COLUMN`')
    rate, code = "rate CHECK ((VALUE > (0)::numeric))", "upper_code CHECK (((VALUE)::text = upper((VALUE)::text)))"
    enforced = "is of a domain, which the database enforces"
    assert report["filled"] == [
        "usable without 1 of its 4 columns",
        "without column 'words' (tsvector): its type is not supported by all backends",
        "in a new row, its triggers must fill in what is left out: words",
        f"column 'rate' {enforced}: {rate}",
        f"column 'code' {enforced}: {code} CHECK ((length(VALUE) > 1))",
        "its triggers stay in force: later, words",
    ]
    assert report["keyless"][1].endswith('`--key "keyless"=COLUMN`')
    assert report["Odd View"][1].startswith("a view has no primary key; name the columns")
    assert "schema elsewhere was not read (1 table), because it is not on the search path" in output


def test_a_view_with_a_key_is_read_only(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, "awkward")
    made = project(**on_postgres(supabase))
    report = blocks(made.adopt("--key", "Odd View=id", "--read", "anyone", "--write", "user"))
    assert report["Odd View"] == ["read-only", "it is a view"]
    tables = check(made.file.read_text()).tables
    assert tables["Odd View"].info == {"adopted": True, "read_only": True, "access": {"read": "anyone"}}
    assert tables["Odd Table"].info == {"adopted": True, "access": {"read": "anyone", "write": "user"}}
    site = made.site()
    assert site.get("/api/Odd%20View?select=Full Name").json["data"] == [{"Full Name": "Ada"}]
    site.close()


def test_a_read_only_table_cannot_have_rules_for_writing() -> None:
    table = sa.Table(
        "seen", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), info={"read_only": True, "access": {}}
    )
    assert table_schema(table).rules.declared
    table.info["access"] = {"read": "anyone", "write": "user"}
    with pytest.raises(ValueError, match="table 'seen' is read-only; remove its rules for write and delete"):
        table_schema(table)


def test_policies_and_triggers_are_named(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, "supabase_auth", "supabase_profiles")
    supabase.execute(
        "create function nothing() returns trigger language plpgsql as 'begin return new; end';"
        "create trigger stamped before update on profiles for each row execute function nothing()"
    )
    profiles = blocks(project(**on_postgres(supabase)).adopt())["profiles"]
    assert profiles[0] == "usable"
    assert "the foreign key (id) to auth.users is not declared" in profiles[1]
    assert profiles[2:] == [
        "row level security is on: its 3 policies stay in force",
        "its triggers stay in force: stamped",
    ]


TEXT = ("sa.Text",)
KEY = FoundColumn("id", "text", TEXT, nullable=False)


def _table(name: str, *columns: FoundColumn, refers: str | None = None, key: tuple[str, ...] = ("id",)) -> FoundTable:
    references = (FoundReference(("other",), refers, ("id",), f"{name}_other", "CASCADE"),) if refers else ()
    return FoundTable(name, "table", (KEY, *columns), key, references)


def test_tables_that_refer_to_each_other_have_an_order() -> None:
    other = FoundColumn("other", "text", TEXT, nullable=True)
    tables = [judge(_table(name, other, refers=to)) for name, to in (("a", "b"), ("b", "a"), ("c", "a"), ("d", "d"))]
    metadata = check(module(tables, GivenAccess({}), {}))
    assert [table.name for table in metadata.sorted_tables[-1:]] != ["a"]
    found = {table.name: next(iter(table.foreign_key_constraints)) for table in metadata.sorted_tables}
    assert {name: (key.use_alter, key.referred_table.name) for name, key in found.items()} == {
        "a": (True, "b"), "b": (True, "a"), "c": (False, "a"), "d": (False, "d"),
    }  # fmt: skip
    assert {key.ondelete for key in found.values()} == {"CASCADE"}


@pytest.mark.parametrize(
    ("default", "wanted"),
    [
        ("'draft'::text", "draft"),
        ("'a:b ::c :d %s'::text", "a:b ::c :d %s"),
        ("'it''s \"x\"'", 'it\'s "x"'),
        ("lower('A')", None),
    ],
)
def test_a_default_is_the_database_s_own(default: str, wanted: str | None) -> None:
    column = FoundColumn("state", "text", TEXT, nullable=False, default=default)
    metadata = check(module([judge(_table("papers", column))], GivenAccess({}), {}))
    found = table_schema(metadata.tables["papers"]).columns["state"]
    assert (found.server_default, None if found.server_default else found.default) == (wanted is None, wanted)


def test_names_are_no_code() -> None:
    evil = '"""\\" + exit(3) + "'
    metadata = check(module([judge(_table(evil, FoundColumn(evil, "text", TEXT, nullable=True)))], GivenAccess({}), {}))
    assert set(metadata.tables[evil].columns.keys()) == {"id", evil}

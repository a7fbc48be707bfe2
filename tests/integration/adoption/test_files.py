"""The file of the declarations: what is written, and what a second run makes of it."""

from __future__ import annotations

import pytest

from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import on_postgres
from tests.servers.postgres import PostgresDatabase


@pytest.fixture
def profiles(supabase: PostgresDatabase) -> PostgresDatabase:
    load(supabase, "supabase_auth", "supabase_profiles")
    return supabase


def test_a_second_run_shows_the_difference_and_keeps_edits(profiles: PostgresDatabase, project: MakeProject) -> None:
    made = project(**on_postgres(profiles))
    first = made.adopt("--read", "anyone", "--write", "owner", "--write", "role:staff", "--owner", "id")
    assert f"Wrote {made.package}/adopted.py; review its access rules." in first
    assert f"from {made.package}.adopted import metadata" in first
    again = made.adopt()
    assert f"{made.package}/adopted.py is as the database is." in again
    assert "To serve the tables" not in again
    edited = made.file.read_text().replace('"read": "anyone"', '"read": "user"') + "\n# mine\n"
    made.file.write_text(edited)
    profiles.execute("alter table profiles add column motto text")
    third = made.run("adopt")
    assert third.exit_code == 1
    assert '+    sa.Column("motto", sa.Text),' in third.output
    assert "-# mine" in third.output
    # The rules of the file stay, also where they were edited.
    assert not [line for line in third.output.splitlines() if line.startswith(("-", "+")) and "access" in line]
    assert made.file.read_text() == edited
    assert made.run("adopt", "--overwrite").exit_code == 0
    assert '"read": "user", "write": ["owner", "role:staff"]' in made.file.read_text()
    assert '"motto"' in made.file.read_text()


def test_the_same_database_gives_the_same_file(profiles: PostgresDatabase, project: MakeProject) -> None:
    load(profiles, "awkward")
    one, other = project(**on_postgres(profiles)), project(**on_postgres(profiles))
    assert one.run("adopt").exit_code == other.run("adopt").exit_code == 0
    assert one.file.read_text() == other.file.read_text()


def test_a_dry_run_prints_the_file(profiles: PostgresDatabase, project: MakeProject) -> None:
    made = project(**on_postgres(profiles))
    done = made.run("adopt", "--dry-run")
    assert (done.exit_code, made.file.exists()) == (0, False)
    made.adopt()
    assert done.stdout.strip() == made.file.read_text().strip()


def test_only_the_named_tables(profiles: PostgresDatabase, project: MakeProject) -> None:
    load(profiles, "awkward")
    made = project(**on_postgres(profiles))
    made.adopt("Odd Table", "profiles")
    assert made.file.read_text().count("sa.Table(") == 2


def test_a_table_that_is_declared_otherwise_is_left_alone(profiles: PostgresDatabase, project: MakeProject) -> None:
    made = project(**on_postgres(profiles))
    made.declare(
        "import sqlalchemy as sa\nfrom database import columns\n\nmetadata = columns.table_metadata()\n"
        'sa.Table("profiles", metadata, sa.Column("id", sa.Uuid, primary_key=True))\n'
    )
    done = made.run("adopt")
    assert "profiles: left out\n    it is declared already, in config/tables.py\n" in done.output
    assert "No table can be declared; nothing was written." in done.output
    assert not made.file.exists()


def test_mistakes_are_named(profiles: PostgresDatabase, project: MakeProject) -> None:
    made = project(**on_postgres(profiles))
    for arguments, message in (
        (["nothing"], "the database has no table 'nothing'"),
        (["--key", "nothing=id"], "the database has no table 'nothing'"),
        (["--key", "profiles"], "is not of the form TABLE=COLUMN"),
        (["--read", "everybody else"], "the read access of table 'profiles'"),
        (["--read", "owner"], 'needs info["owner"]'),
        (["--database", "local"], "is not in DB_ADAPTER_ORDER"),
    ):
        done = made.run("adopt", *arguments)
        assert done.exit_code != 0
        assert message in done.stderr
    assert not made.file.exists()
    made.file.write_text("metadata = nonsense\n")
    done = made.run("adopt")
    assert (done.exit_code, "adopted.py cannot be imported" in done.stderr) == (1, True)

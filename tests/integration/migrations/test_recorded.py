"""Whether a database is up to date is known by one query, and in doubt it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import as_application
from database.core.errors import BackendError
from database.schema.migrations import runner
from database.schema.migrations.recorded import folders
from database.schema.migrations.recorded import is_up_to_date
from database.schema.migrations.recorded import newest


def test_up_to_date_is_what_has_the_newest_revision(adapter: DatabaseAdapter) -> None:
    assert not is_up_to_date(adapter)
    runner.upgrade(adapter)
    assert is_up_to_date(adapter)
    runner.downgrade(adapter)
    assert not is_up_to_date(adapter)


@pytest.mark.parametrize("revision", ["9999", None])
def test_another_record_is_a_matter_for_the_runner(sqlite: SQLiteAdapter, revision: str | None) -> None:
    runner.upgrade(sqlite)
    with as_application():
        sqlite.execute_query("delete from isthmus_version where version_num like '0%'")
        if revision is not None:
            sqlite.execute_query("insert into isthmus_version values (?)", [revision])
    assert not is_up_to_date(sqlite)


def test_asking_makes_no_file(sqlite: SQLiteAdapter) -> None:
    assert not is_up_to_date(sqlite)
    assert not Path(sqlite.describe()["path"]).exists()


def test_a_backend_without_sql_tables_lacks_nothing() -> None:
    assert is_up_to_date(MemoryAdapter())


def test_a_file_that_cannot_be_read_is_not_taken_for_one_without_tables(sqlite: SQLiteAdapter) -> None:
    path = Path(sqlite.describe()["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(BackendError):
        is_up_to_date(sqlite)


def test_the_newest_revisions_are_those_that_alembic_finds(sqlite: SQLiteAdapter) -> None:
    scripts = runner.scripts(sqlite)
    before = {script.down_revision for script in scripts}
    assert newest(folders(sqlite)) == {script.revision for script in scripts} - before


def script(folder: Path, *lines: str) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    (folder / f"{len(list(folder.iterdir()))}.py").write_text("\n".join(lines))
    return (folder,)


def test_branches_and_merges_have_the_newest_that_they_say(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    script(one, 'revision = "a"', "down_revision = None")
    script(one, 'revision: str = "b"', 'down_revision: str | None = "a"')
    script(two, 'revision = "c"', 'down_revision = "a"')
    assert newest((one, two)) == {"b", "c"}
    assert newest((one,)) == {"b"}
    script(two, 'revision = "d"', 'down_revision = ("b", "c")')
    assert newest((one, two, tmp_path / "none")) == {"d"}


@pytest.mark.parametrize("line", ["down_revision = before()", "", "down_revision ="])
def test_a_file_that_does_not_say_plainly_what_it_is_leaves_the_newest_unknown(tmp_path: Path, line: str) -> None:
    assert newest(script(tmp_path / "odd", 'revision = "a"', line)) == set()

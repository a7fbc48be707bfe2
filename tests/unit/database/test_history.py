"""What the two branches of migrations are, and what a database with some of their revisions lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from database.schema.migrations.history import ForkedHistory
from database.schema.migrations.history import History
from database.schema.migrations.history import UnknownRevision
from database.schema.migrations.history import history

OWN = [script.revision for script in history(None).own]


def migrations(folder: Path, **revisions: str | None) -> Path:
    """A folder of migrations, by name with the one before."""
    (folder / "versions").mkdir()
    for name, former in revisions.items():
        text = f"revision = {name!r}\ndown_revision = {former!r}\ndef upgrade(): ...\ndef downgrade(): ...\n"
        (folder / "versions" / f"{name}.py").write_text(text)
    return folder


@pytest.fixture
def known(tmp_path: Path) -> History:
    return history(migrations(tmp_path, c="b", a=None, b="a"))


def test_the_branches_are_lines_and_isthmus_comes_first(known: History) -> None:
    assert known.revisions == [*OWN, "a", "b", "c"]
    assert known.heads == [OWN[-1], "c"]


def test_an_application_may_have_no_migrations(tmp_path: Path) -> None:
    assert history(None).revisions == history(tmp_path / "none").revisions == OWN
    assert history(None).heads == OWN[-1:]


def test_what_is_missing_is_told_by_the_last_of_each_branch(known: History) -> None:
    assert known.missing([]) == [*OWN, "a", "b", "c"]
    assert known.missing(["0002", "b"]) == [*OWN[2:], "c"]
    assert known.missing(["a"]) == [*OWN, "b", "c"]
    assert known.missing(known.heads) == []
    with pytest.raises(UnknownRevision, match="'9', which does not exist in this version"):
        known.missing(["9", "a"])


def test_a_revision_of_the_application_comes_after_all_of_isthmus(known: History) -> None:
    missing = known.missing([])
    assert known.up_to(missing, "0002") == ["0001", "0002"]
    assert known.up_to(missing, "b") == [*OWN, "a", "b"]
    assert known.up_to(missing, "head") == missing


def test_a_way_back_stays_in_its_branch(known: History) -> None:
    applied = known.applied(["0003", "c"])
    assert known.above(applied, "a") == ["c", "b"]
    assert known.above(applied, "0001") == ["0003", "0002"]
    assert known.above(applied, "-1") == ["c"]
    assert known.above(applied, "base") == ["c", "b", "a", "0003", "0002", "0001"]
    assert known.above([], "-1") == []
    with pytest.raises(UnknownRevision, match=r"does not have revision '0004'; it has 0003, c"):
        known.above(applied, "0004")


def test_a_stamp_leaves_the_other_branch(known: History) -> None:
    assert known.stamped(["0003", "c"], "a") == ["0003", "a"]
    assert known.stamped(["c"], "0002") == ["0002", "c"]
    assert known.stamped(["gone"], "0002") == ["0002"]
    assert known.stamped([], "head") == known.heads


def test_two_migrations_that_go_on_from_the_same_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(ForkedHistory, match="b and c both have down_revision = 'a'"):
        history(migrations(tmp_path, a=None, b="a", c="a"))


def test_two_first_migrations_are_named(tmp_path: Path) -> None:
    with pytest.raises(ForkedHistory, match="a and b both have down_revision = None"):
        history(migrations(tmp_path, a=None, b=None))


def test_two_migrations_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = migrations(tmp_path, a=None, b="a")
    (folder / "versions" / "copy.py").write_text((folder / "versions" / "a.py").read_text().replace("None", "'b'"))
    with pytest.raises(ForkedHistory, match="two migrations have the revision a;"):
        history(folder)


def test_a_migration_whose_former_one_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ForkedHistory, match="migration b has down_revision = 'a', which does not exist"):
        history(migrations(tmp_path, b="a"))

"""A database file that is deleted or replaced under a running application: noticed before the next answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from database.backends.sqlite import SQLiteAdapter
from database.backends.sqlite.adapter import _TRUST_SECONDS
from database.core.errors import Unavailable
from database.core.operations import Get
from database.core.operations import Insert
from tests.contract.tables import SCHEMA
from tests.integration.sqlite.conftest import Make


def delete(path: Path) -> None:
    path.unlink()


def put_back_a_backup(path: Path) -> None:
    backup = path.with_name("backup.db")
    shutil.copy(path, backup)
    backup.replace(path)


def insert(adapter: SQLiteAdapter, record_id: str) -> None:
    adapter.run(Insert("things", [{"id": record_id, "label": "x"}]))


def write(adapter: SQLiteAdapter) -> None:
    insert(adapter, "late")


def read(adapter: SQLiteAdapter) -> None:
    adapter.run(Get("things", "early"))


def transact(adapter: SQLiteAdapter) -> None:
    with adapter.transaction():
        insert(adapter, "late")


@pytest.mark.parametrize("lose", [delete, put_back_a_backup])
@pytest.mark.parametrize("call", [write, read, transact])
def test_nothing_is_answered_from_a_file_that_is_gone(
    make: Make, path: Path, lose: Callable[[Path], None], call: Callable[[SQLiteAdapter], None]
) -> None:
    adapter = make(circuit_breaker_threshold=0)
    insert(adapter, "early")
    lose(path)
    Event().wait(2 * _TRUST_SECONDS)
    for _ in range(3):
        with pytest.raises(Unavailable, match="was deleted or replaced") as refused:
            call(adapter)
        assert refused.value.outcome.value == "not_applied"
    assert not adapter.test_connection()[0]
    assert lose is not delete or not path.exists(), "an empty database must not take its place"


@pytest.mark.parametrize("lose", [delete, put_back_a_backup])
def test_a_transaction_is_not_committed_into_a_file_that_is_gone(
    make: Make, path: Path, lose: Callable[[Path], None]
) -> None:
    adapter = make()
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [{"id": "late", "label": "x"}]), transaction._context)
    lose(path)
    with pytest.raises(Unavailable, match="was deleted or replaced"):
        transaction.commit()


def test_connecting_anew_takes_the_file_that_is_there(make: Make, path: Path) -> None:
    adapter = make(circuit_breaker_threshold=0)
    insert(adapter, "early")
    backup = path.with_name("backup.db")
    adapter.disconnect()
    shutil.copy(path, backup)
    insert(adapter, "late")
    path.unlink()
    with pytest.raises(Unavailable):
        insert(adapter, "later")
    adapter.disconnect()
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    backup.replace(path)
    assert [row["id"] for row in adapter.table("things").execute()] == ["early"]
    insert(adapter, "again")


def test_a_link_to_the_file_is_as_good(make: Make, path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    adapter = make(path=str(link))
    insert(adapter, "early")
    read(adapter)
    assert adapter.test_connection()[0]


def test_a_ping_reads_the_file_itself(make: Make, path: Path) -> None:
    adapter = make()
    insert(adapter, "early")
    adapter.disconnect()
    assert adapter.connect()
    path.write_bytes(b"\xa5" * path.stat().st_size)
    well, message = adapter.test_connection()
    assert not well
    assert "database file" in message


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data.db"
    adapter = SQLiteAdapter({"path": str(path)}, SCHEMA)
    assert adapter.connect()
    adapter.execute_query("create table notes (id text)")
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    adapter.disconnect()
    assert modes == {"data.db": 0o600, "data.db-wal": 0o600, "data.db-shm": 0o600}


def test_an_existing_file_keeps_its_mode(make: Make, path: Path) -> None:
    path.chmod(0o640)
    assert make().connect()
    assert path.stat().st_mode & 0o777 == 0o640

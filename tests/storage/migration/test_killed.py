"""A copy that is killed goes on: files to PostgreSQL, S3 and SQLite, with ``python -m storage.migrate``.

``MIGRATE_VALUES`` is the number of values; with more than the default, each of the three copies is killed twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Any
from typing import Final
from uuid import uuid4

import pytest

from storage import MemoryEntries
from storage import Store
from storage import copy_entries
from storage import store_at
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server
from tests.storage.contract.test_keys import HOSTILE
from tests.storage.migration.filled import fill_all
from tests.storage.migration.filled import hashes

_FEW: Final = 110
VALUES: Final = int(os.environ.get("MIGRATE_VALUES", _FEW))

ROOT: Final = Path(__file__).parents[3]
ENVIRONMENT: Final = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": ACCESS["access_key"],
    "AWS_SECRET_ACCESS_KEY": ACCESS["secret_key"],
    "AWS_REGION": ACCESS["region"],
}
LONGEST: Final = 2_000
"""Bytes of a key in a table of PostgreSQL of its own."""


def command(source: str, target: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "storage.migrate", "--source", source, "--target", target, "--json", *words]


def migrate(source: str, target: str, *words: str) -> Any:
    done = subprocess.run(
        command(source, target, *words), cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def killed(source: str, target: str, there: Store, number: int) -> None:
    """Begin a copy, and kill it with -9 when the target has so many entries."""
    with subprocess.Popen(command(source, target), cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        count, cursor = 0, None
        while count < number:
            # Entries arrive nearly in the order of their keys.
            found = there.page(cursor=cursor, limit=1_000).entries
            count, cursor = count + len(found), found[-1].key if found else cursor
            assert process.poll() is None, "it has ended before it could be killed"
            sleep(0.01)
        process.kill()


def test_a_copy_through_all_places_is_whole_though_it_was_killed(
    tmp_path: Path, postgres_database: PostgresDatabase, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    places = [
        str(tmp_path / "files"),
        postgres_database.url,
        f"s3://{BUCKET}/{uuid4().hex}?endpoint={s3_server.url}&region={ACCESS['region']}",
        f"sqlite:///{tmp_path}/kept.db",
    ]
    first = Store(MemoryEntries(most_bytes=1 << 40))
    keys = [key for key in HOSTILE if len(key.encode()) <= LONGEST]
    fill_all(first, [*keys, *(f"value {number:06}" for number in range(VALUES - len(keys)))])
    stores = [store_at(place) for place in places]
    copy_entries(first, stores[0])
    for number, (source, target) in enumerate(pairwise(places)):
        kills = (1 / 4, 1 / 2) if VALUES > _FEW else (1 / 4,) if number != 1 else ()
        for part in kills:
            killed(source, target, stores[number + 1], int(VALUES * part))
        done = migrate(source, target)
        assert done["seen"] == done["moved"] + done["same"] == VALUES
        assert (done["left"], bool(done["same"])) == ({}, bool(kills))
    assert hashes(stores[-1]) == hashes(first)
    for one, other in pairwise(stores):
        again = copy_entries(one, other)
        assert (again.moved, again.same, again.others, again.left) == (0, VALUES, 0, {})

"""``flask storage``: the stores of the application on the command line."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path

import pytest
from click.testing import Result

from database.core.context import as_application
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.migrated import migrated_sqlite


def run(site: Site, *words: str, stdin: bytes | None = None, status: int = 0) -> Result:
    done = site.app.test_cli_runner().invoke(args=["storage", *words], input=stdin)
    assert done.exit_code == status, done.output
    return done


def test_what_is_put_is_got_listed_and_deleted(sqlite_site: Site, tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(b"\x89PNG\r\n")
    etag = run(sqlite_site, "put", "default", "a/b", stdin=b'{"a": [1]}').output.strip()
    options = ("--media-type", "image/png", "--metadata", '{"tags": ["x"]}', "--ttl", "60")
    run(sqlite_site, "put", "default", "line\nbreak", str(file), *options)
    assert run(sqlite_site, "get", "default", "a/b").output == '{"a":[1]}\n'
    assert run(sqlite_site, "get", "default", "line\nbreak").stdout_bytes == b"\x89PNG\r\n"
    run(sqlite_site, "get", "default", "line\nbreak", "--output", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    lines = run(sqlite_site, "list").output.splitlines()
    assert [line.split("  ")[:3] for line in lines] == [
        ["a/b", "9 bytes", "application/json"],
        ['"line\\nbreak"', "6 bytes", "image/png"],
    ]
    (listed,) = map(json.loads, run(sqlite_site, "list", "default", "--prefix", "a", "--json").output.splitlines())
    assert (listed["key"], listed["etag"]) == ("a/b", etag)
    run(sqlite_site, "delete", "default", "a/b")
    assert "nothing is stored" in run(sqlite_site, "delete", "default", "a/b", status=1).output
    assert "nothing is stored" in run(sqlite_site, "get", "default", "a/b", status=1).output
    (facts,) = map(json.loads, run(sqlite_site, "stats", "default", "--json").output.splitlines())
    assert facts == {**facts, "store": "default", "type": "table", "entries": 1, "bytes": 6, "largest": 6}
    assert len(run(sqlite_site, "stats").output.splitlines()) == 5


def test_what_is_wrong_is_said(sqlite_site: Site) -> None:
    etag = run(sqlite_site, "put", "default", "a", stdin=b"1").output.strip()
    for words, stdin, said in [
        (("put", "default", "a"), b"{", "is not JSON"),
        (("put", "default", "a", "--metadata", "{"), b"1", "is not JSON"),
        (("put", "default", "a", "--ttl", "0"), b"1", "more than 0 seconds"),
        (("put", "default", "a", "--if-absent"), b"1", "exists already"),
        (("put", "default", "a", "--expected", "b"), b"1", "changed or deleted"),
        (("list", "none"), b"", "the application declares default"),
        (("rewrap", "default"), b"", "is not encrypted"),
    ]:
        done = sqlite_site.app.test_cli_runner().invoke(args=["storage", *words], input=stdin)
        assert done.exit_code in {1, 2}
        assert said in done.output
    run(sqlite_site, "put", "default", "a", "--expected", etag, stdin=b"2")
    assert run(sqlite_site, "get", "default", "a").output == "2\n"


def test_a_sweep_deletes_what_has_expired(sqlite_site: Site) -> None:
    with as_application():
        sqlite_site.stores["files"].put("a", 1, ttl=1e-6)
        sqlite_site.stores["files"].put("b", 1)
    swept = run(sqlite_site, "sweep").output
    assert "files: 1 expired entries deleted" in swept
    assert "default: 0 expired entries deleted" in swept
    assert run(sqlite_site, "sweep", "files").output == "files: 0 expired entries deleted\n"


def test_entries_are_copied_between_stores_and_places(sqlite_site: Site, tmp_path: Path) -> None:
    with as_application():
        for number in range(3):
            sqlite_site.stores["default"].put(f"n{number}", number, metadata={"m": number}, ttl=1_000)
    target = str(tmp_path / "copy")
    assert "3 to be copied" in run(sqlite_site, "migrate", "default", target, "--dry-run").output
    assert not Path(target).exists()
    run(sqlite_site, "migrate", "default", target, "--prefix", "n1")
    (done,) = map(json.loads, run(sqlite_site, "migrate", "default", target, "--json").output.splitlines())
    assert done == {"dry_run": False, "seen": 3, "moved": 2, "size": 2, "same": 1, "others": 0, "left": {}}
    assert "3 copied" in run(sqlite_site, "migrate", f"file:{target}", "files").output
    with as_application():
        found, kept = (sqlite_site.stores[name].entry("n2") for name in ("files", "default"))
        assert found == kept
        sqlite_site.stores["files"].put("n2", "newer")
    left = run(sqlite_site, "migrate", target, "files", status=1).output
    assert "n2 differs from the entry in the target" in left
    assert "0 copied" in run(sqlite_site, "migrate", target, "files", "--since", "2999-01-01").output
    for words, said in [
        (("default", "none"), "the application declares default"),
        (("./none", "default"), "nothing is stored at ./none"),
        (("default", "default"), "the same place"),
        (("default", "ftp://a"), "must be a folder or begin with"),
        (("default", target, "--since", "today"), "ISO 8601"),
        (("--records", "agents", "application", f"sqlite:///{target}.db"), "config/tables.py"),
        (("--records", "evaluations", "application", target), "config/tables.py"),
        (("--records", "agents", target, "application"), "agents store in"),
    ]:
        done = sqlite_site.app.test_cli_runner().invoke(args=["storage", "migrate", *words])
        assert done.exit_code in {1, 2}
        assert said in done.output
        assert "same command again" not in done.output


@pytest.fixture
def keys() -> dict[str, str]:
    return {name: f"{name}={b64encode(os.urandom(32)).decode()}" for name in ("old", "new")}


def test_a_rotation_of_keys(tmp_path: Path, keys: dict[str, str]) -> None:
    migrated_sqlite(tmp_path / "isthmus.db")

    def with_keys(*names: str) -> Site:
        return make_site(tmp_path, STORAGE_KEYS=",".join(keys[name] for name in names))

    def rewrap(*words: str, named: tuple[str, ...] = ("new", "old"), status: int = 0) -> str:
        site = with_keys(*named)
        done = run(site, "rewrap", *words, status=status)
        site.close()
        return done.output

    site = with_keys("old")
    with as_application():
        for number in range(5):
            site.stores["files"].put(f"n{number}", f"canary {number}")
    site.close()
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    assert rewrap("--dry-run") == "files: 5 entries, 5 to be wrapped again\n"
    assert rewrap("files", "--after", "n2") == "files: 2 entries, 2 wrapped again\n"
    assert rewrap() == "files: 5 entries, 3 wrapped again\n"
    assert rewrap() == "files: 5 entries, 0 wrapped again\n"
    site = with_keys("new")
    with as_application():
        assert site.stores["files"].load("n4") == "canary 4"
    site.close()
    assert "n0 cannot be read" in rewrap(named=("old",), status=1)
    assert "--after is for one store" in rewrap("--after", "a", named=(), status=2)

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import node
from tests.servers.node import FOLDER
from tests.servers.node import installed_node


@pytest.fixture
def search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    installed_node.cache_clear()
    yield tmp_path
    installed_node.cache_clear()


def put_node(folder: Path, version: str) -> None:
    for name in ("node", "npm"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)


def test_the_machines_node_is_used_if_it_is_new_enough(search_path: Path) -> None:
    put_node(search_path, "v20.0.1")
    assert installed_node().binary == str(search_path / "node")


@pytest.mark.parametrize("version", ["v18.20.4", "unknown"])
def test_another_node_is_passed_over(search_path: Path, version: str) -> None:
    put_node(search_path, version)
    assert runs(installed_node().binary) >= 20


def test_a_node_without_npm_is_passed_over(search_path: Path) -> None:
    put_node(search_path, "v20.0.1")
    (search_path / "npm").unlink()
    found = installed_node()
    assert runs(found.binary) >= 20
    assert subprocess.run([*found.npm, "--version"], capture_output=True, check=False).returncode == 0


def test_npm_is_run_where_the_packages_are_declared(capfd: pytest.CaptureFixture[str]) -> None:
    assert node.main(["pkg", "get", "name"]) == 0
    assert json.loads(capfd.readouterr().out) == "isthmus-test-servers"


def test_packages_are_locked_without_a_host() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []


def runs(binary: str) -> int:
    """The major version of a real Node.js."""
    printed = subprocess.run([binary, "-p", "process.versions.node"], capture_output=True, text=True, check=True).stdout
    return int(printed.partition(".")[0])

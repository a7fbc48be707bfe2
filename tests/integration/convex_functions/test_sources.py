"""The sources as Convex' tools see them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from database.schema.convex_modules import API_TYPES
from database.schema.convex_modules import api_types
from database.schema.convex_schema import FUNCTIONS
from tests.integration.convex_functions.support import deployed
from tests.servers.available import available
from tests.servers.node import installed_node
from tests.servers.node import installed_packages


def test_types_are_right(tmp_path: Path) -> None:
    """For the declared tables; the application's own functions are about those."""
    _link_packages(tmp_path)
    functions = deployed(tmp_path)
    for name in ("schema.ts", "tables.ts"):
        (functions / name).write_bytes((FUNCTIONS / name).read_bytes())
    assert _compile(functions) == ""


def test_generated_types_name_every_module() -> None:
    named = re.findall(r'from "\.\./(.+)\.js"', api_types(FUNCTIONS))
    modules = [path.relative_to(FUNCTIONS).with_suffix("").as_posix() for path in FUNCTIONS.rglob("*.ts")]
    own = {name for name in modules if not name.startswith("_generated/")} - {"schema", "auth.config"}
    assert named == sorted(own)
    assert (FUNCTIONS / API_TYPES).read_text() == api_types(FUNCTIONS)


def _link_packages(folder: Path) -> None:
    (folder / "node_modules").symlink_to(available(installed_packages))


def _compile(functions: Path) -> str:
    """What the compiler complains about."""
    compiler = installed_packages() / "typescript" / "bin" / "tsc"
    command = [installed_node().binary, str(compiler), "--project", str(functions)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout

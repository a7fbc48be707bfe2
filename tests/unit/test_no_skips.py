from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = {
    "function": "import pytest\ndef test_it(): pytest.skip('no server')\n",
    "mark": "import pytest\n@pytest.mark.skip(reason='no server')\ndef test_it(): pass\n",
    "fixture": "import pytest\n@pytest.fixture\ndef server(): pytest.skip('no server')\ndef test_it(server): pass\n",
    "module": "import pytest\npytest.skip('no server', allow_module_level=True)\n",
    "expected": "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False\n",
}


def test_skips_are_failures_in_ci(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    output = _run_samples(tmp_path, pytestconfig.rootpath, ci="true")
    assert "1 failed, 1 xfailed, 3 errors" in output
    assert len(re.findall(r"^not allowed in CI: Skipped: no server$", output, re.MULTILINE)) == 4


def test_skips_are_skips_elsewhere(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    assert "4 skipped, 1 xfailed" in _run_samples(tmp_path, pytestconfig.rootpath, ci="")


def _run_samples(folder: Path, repository: Path, *, ci: str) -> str:
    for name, sample in SAMPLES.items():
        (folder / f"test_{name}.py").write_text(sample)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p tests.no_skips -p no:cacheprovider\n")
    command = [sys.executable, "-m", "pytest", "--continue-on-collection-errors", "-c", str(folder / "pytest.ini")]
    environment = {**os.environ, "CI": ci}
    return subprocess.run(
        [*command, str(folder)], cwd=repository, env=environment, capture_output=True, text=True, check=False
    ).stdout

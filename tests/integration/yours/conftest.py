"""The page begins with the sample: where that was replaced, as the page says, it has been followed already."""

from __future__ import annotations

from tests.integration.yours.copies import ROOT

collect_ignore_glob = [] if (ROOT / "tests" / "sample").is_dir() else ["test_*.py"]

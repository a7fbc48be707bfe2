"""The example of docs/callers.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from database.core.context import as_application
from database.core.operations import Insert
from tests.integration.http.support import make_site

DOCUMENT = Path(__file__).parents[3] / "docs" / "callers.md"


def test_the_example(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(code, names)  # noqa: S102  # of this repository
    site = make_site(tmp_path, DB_ADAPTER_ORDER="memory")
    site.app.register_blueprint(names["reports"])
    ada = site.register("ada")
    site.post("/api/notes", {"title": ""}, ada)
    site.post("/api/notes", {"title": "hers"}, ada)
    with as_application():
        site.manager.run(Insert("notes", [{"owner_id": "somebody", "title": "theirs"}]))
    assert site.get("/reports", ada).json == {"molecules": 0, "notes": 2}
    assert site.get("/reports").status_code == 403
    result = site.app.test_cli_runner().invoke(args=["reports", "tidy"])
    assert result.exit_code == 0, result.output
    assert site.get("/reports", ada).json == {"molecules": 0, "notes": 1}
    names["pool"].shutdown()
    site.close()

"""Records that cannot be read on a Convex deployment and over Supabase's HTTP side, with a stand-in behind them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site
from tests.integration.spoiled import SPOILED

GOOD = ["a-good", "d-good", "g-good"]
BAD = {"b-bad": "infinity", "c-bad": "-infinity", "h-bad": "12026-01-01T00:00:00.000000Z", "i-bad": "infinity"}


class Elsewhere(NamedTuple):
    """An application with good and bad molecules; ``move`` gives one another ``updated_at``, past the application."""

    site: Site
    move: Callable[[str, str], object]


@pytest.fixture(params=["convex", "http"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Elsewhere]:
    with ExitStack() as stack:
        adapter, move = SPOILED[request.param](request, stack)
        url, key = adapter.config["url"], adapter.config["key"]
        adapter.disconnect()
        settings = (
            {"DB_ADAPTER_ORDER": "convex,local", "CONVEX_URL": url, "CONVEX_DEPLOYMENT_KEY": key}
            if request.param == "convex"
            else {"DB_ADAPTER_ORDER": "supabase,local", "SUPABASE_URL": url, "SUPABASE_KEY": key}
        )
        site = make_site(tmp_path, **settings)
        stack.callback(site.close)
        rows = [{"id": name, "name": name} for name in [*GOOD, *BAD]]
        assert site.post("/api/molecules", rows, site.register()).status_code == 201
        for name, moment in BAD.items():
            move(name, moment)
        yield Elsewhere(site, move)


def test_it_costs_itself_and_is_no_outage(elsewhere: Elsewhere) -> None:
    site = elsewhere.site
    headers = site.admin()
    for _ in range(10):
        problem = assert_problem(site.get("/api/molecules/b-bad"), 500, "unreadable-record")
        assert (problem["table"], problem["id"], problem["column"]) == ("molecules", "b-bad", "updated_at")
    answer = site.get("/api/molecules?count=exact")
    assert answer.status_code == 200, answer.text
    assert "X-Data-Source" not in answer.headers
    assert [row["id"] for row in answer.json["data"]] == GOOD
    assert [(bad["id"], bad["column"]) for bad in answer.json["unreadable"]] == [(id_, "updated_at") for id_ in BAD]
    assert answer.json["count"] == len(GOOD) + len(BAD)
    assert site.post("/api/molecules", {"name": "new"}, headers).status_code == 201
    assert site.call("DELETE", "/api/molecules/b-bad", headers=headers).status_code == 204
    assert site.call("PATCH", "/api/molecules/c-bad", {"name": "mended"}, headers).status_code == 200
    # PostgreSQL has counted what the other program did.
    conditional = {**headers, "If-Match": '"1"' if site.manager.adapter.kind == "convex" else '"2"'}
    assert site.call("PUT", "/api/molecules/h-bad", {"name": "mended"}, conditional).status_code == 200
    answer = site.get("/api/molecules")
    assert [bad["id"] for bad in answer.json["unreadable"]] == ["i-bad"]
    assert site.get("/readyz").status_code == 200


@pytest.mark.parametrize("order", ["id", "updated_at.asc", "updated_at.desc"])
def test_pages_go_on_behind_it(elsewhere: Elsewhere, order: str) -> None:
    for limit in (1, 2):
        seen: list[str] = []
        named: set[str] = set()
        cursor = ""
        for _ in range(20):
            answer = elsewhere.site.get(f"/api/molecules?order={order}&limit={limit}{cursor}")
            assert answer.status_code == 200, answer.text
            seen += [row["id"] for row in answer.json["data"]]
            named |= {bad["id"] for bad in answer.json.get("unreadable", [])}
            if answer.json["next_cursor"] is None:
                break
            cursor = f"&cursor={answer.json['next_cursor']}"
        else:
            pytest.fail("the pages do not end")
        assert sorted(seen) == GOOD
        assert named == set(BAD)

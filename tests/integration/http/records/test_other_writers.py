"""An edit by another program changes the entity tag, so that no client overwrites it unseen."""

from __future__ import annotations

from tests.integration.http.records.conftest import Run
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem


def test_an_edit_by_plain_sql_is_seen_by_conditional_requests(site: Site, run: Run) -> None:
    headers = site.register()
    made = site.post("/api/molecules", {"id": "w", "name": "Water", "formula": "H2O"}, headers)
    tag = made.headers["ETag"]
    run("update molecules set formula = 'D2O' where id = 'w'")
    found = site.get("/api/molecules/w", headers={"If-None-Match": tag})
    assert (found.status_code, found.json["formula"]) == (200, "D2O")
    assert found.headers["ETag"] != tag
    body = {"name": "Water 2", "formula": "H2O"}
    refused = site.call("PUT", "/api/molecules/w", body, {**headers, "If-Match": tag})
    assert_problem(refused, 412)
    assert site.get("/api/molecules/w").json["formula"] == "D2O"
    current = {**headers, "If-Match": found.headers["ETag"]}
    assert site.call("PUT", "/api/molecules/w", body, current).status_code == 200

"""Records that another program wrote with a value that is none of its column's kind: each costs itself, no other."""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import timedelta

import pytest

from database.core.context import as_application
from database.core.errors import UnreadableRecord
from database.core.tables import unreadable
from database.purging import purge_changes
from tests.integration.http.records.conftest import Run
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

WRITE = "insert into molecules (id, created_at, updated_at, version, name) values ('{}', '{}', '{}', 1, 'odd')"
GOOD = "2026-01-01T00:00:00.000000Z"
BAD = {"sqlite": ["infinity", "soon"], "supabase": ["infinity", "-infinity", "12026-01-01Z", "0044-03-15Z BC"]}
SPOILED = {
    "supabase": [("properties", """'{"a": 1e999}'""")],
    "sqlite": [
        ("properties", "'{broken'"),
        ("version", "'one'"),
        ("name", "x'00ff'"),
        ("name", "cast(x'ff41' as text)"),
    ],
}


def kind(site: Site) -> str:
    return "sqlite" if site.manager.adapter.kind == "sqlite" else "supabase"


def test_a_bad_row_is_named_and_the_others_are_listed(
    site: Site, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable, "_reported", OrderedDict())
    headers = site.register()
    names = [f"{letter}-good" for letter in "aceg"]
    site.post("/api/molecules", [{"id": name, "name": name} for name in names], headers)
    bad = {f"{letter}-bad": value for letter, value in zip("bdfh", BAD[kind(site)], strict=False)}
    for name, value in bad.items():
        run(WRITE.format(name, GOOD, value))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            answer = site.get("/api/molecules?count=exact")
    assert answer.status_code == 200
    assert "X-Data-Source" not in answer.headers
    assert [row["id"] for row in answer.json["data"]] == names
    assert answer.json["count"] == len(names) + len(bad)
    assert [(one["id"], one["column"]) for one in answer.json["unreadable"]] == [(name, "updated_at") for name in bad]
    assert len([line for line in caplog.messages if "b-bad" in line]) == 1
    problem = assert_problem(site.get("/api/molecules/b-bad"), 500, "unreadable-record")
    assert (problem["table"], problem["id"], problem["column"]) == ("molecules", "b-bad", "updated_at")
    assert site.get("/api/molecules/a-good").status_code == 200


def test_a_bad_related_row_is_named_and_costs_no_other(site: Site, run: Run) -> None:
    headers = site.register()
    run(WRITE.format("bad", GOOD, BAD[kind(site)][0]))
    site.post("/api/molecules", {"id": "good", "name": "good"}, headers)
    site.post("/api/experiments", [{"id": key, "name": key, "molecule_id": key} for key in ("bad", "good")], headers)
    answer = site.get("/api/experiments?select=id,molecules(name,updated_at)").json
    assert [(row["id"], row["molecules"] and row["molecules"]["name"]) for row in answer["data"]] == [
        ("bad", None),
        ("good", "good"),
    ]
    assert [(one["table"], one["id"], one["column"]) for one in answer["unreadable"]] == [
        ("molecules", "bad", "updated_at")
    ]
    problem = assert_problem(site.get("/api/experiments/bad?select=molecules(*)"), 500, "unreadable-record")
    assert (problem["table"], problem["id"], problem["column"]) == ("molecules", "bad", "updated_at")
    with as_application():
        query = site.manager.table("experiments").select("id, molecules(*)").eq("id", "bad")
        single = query.single().execute()
    assert (single.data, [one.id for one in single.unreadable]) == ({"id": "bad", "molecules": None}, ["bad"])


@pytest.mark.parametrize("order", ["id", "updated_at.asc", "updated_at.desc", "name"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_go_on_behind_bad_rows(site: Site, run: Run, order: str, limit: int) -> None:
    names = [f"{letter}-good" for letter in "adg"]
    site.post("/api/molecules", [{"id": name, "name": name} for name in names], site.register())
    bad = [f"{letter}-bad" for letter in "bcehi"]
    for name in bad:
        run(WRITE.format(name, GOOD, BAD[kind(site)][0]))
    seen: list[str] = []
    named: set[str] = set()
    cursor = ""
    for _ in range(20):
        answer = site.get(f"/api/molecules?order={order}&limit={limit}{cursor}")
        assert answer.status_code == 200, answer.text
        seen += [row["id"] for row in answer.json["data"]]
        named |= {one["id"] for one in answer.json.get("unreadable", [])}
        if answer.json["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.json['next_cursor']}"
    else:
        pytest.fail("the pages do not end")
    assert sorted(seen) == names
    assert sorted(named) == bad


def test_every_kind_of_bad_value_costs_its_row(site: Site, run: Run) -> None:
    spoiled = SPOILED[kind(site)]
    for number, (column, value) in enumerate(spoiled):
        run(WRITE.format(f"bad-{number}", GOOD, GOOD))
        run(f"update molecules set {column} = {value} where id = 'bad-{number}'")
    run(WRITE.format("good", GOOD, GOOD))
    answer = site.get("/api/molecules")
    assert answer.status_code == 200, answer.text
    assert [row["id"] for row in answer.json["data"]] == ["good"]
    named = [(one["id"], one["column"]) for one in answer.json["unreadable"]]
    assert named == [(f"bad-{number}", column) for number, (column, _) in enumerate(spoiled)]


@pytest.mark.parametrize("verb", ["patch", "put", "put if match", "delete"])
def test_a_bad_row_can_be_mended_and_deleted(site: Site, run: Run, verb: str) -> None:
    column, value = SPOILED[kind(site)][0]
    headers = site.admin()
    run(WRITE.format("odd", GOOD, GOOD))
    run(f"update molecules set {column} = {value} where id = 'odd'")
    if verb == "patch":
        assert_problem(site.call("PATCH", "/api/molecules/odd", {"name": "new"}, headers), 500, "unreadable-record")
        answer = site.call("PATCH", "/api/molecules/odd", {column: {"mended": True}}, headers)
    elif verb == "delete":
        answer = site.call("DELETE", "/api/molecules/odd", headers=headers)
    else:
        more = {"If-Match": '"2"'} if "match" in verb else {}
        answer = site.call("PUT", "/api/molecules/odd", {"name": "new"}, {**headers, **more})
    assert answer.status_code == (204 if verb == "delete" else 200), answer.text
    assert site.get("/api/molecules/odd").status_code == (404 if verb == "delete" else 200)
    assert "unreadable" not in site.get("/api/molecules").json


def test_the_circuit_stays_closed(site: Site, run: Run) -> None:
    run(WRITE.format("odd", GOOD, BAD[kind(site)][0]))
    for _ in range(20):
        assert site.get("/api/molecules/odd").status_code == 500
    with as_application():
        assert site.manager.adapter.table("molecules").select("*").execute().rows == []
    assert site.get("/api/molecules").status_code == 200


def test_a_bad_row_of_ours_costs_its_user_alone(site: Site, run: Run) -> None:
    bad = BAD[kind(site)][0]
    headers = site.register("one")
    site.login("one")
    site.register("other")
    run(f"update isthmus_sessions set created_at = '{bad}'")
    assert site.get("/auth/me", headers).status_code == 200
    assert site.get("/auth/sessions", headers).status_code == 200
    # It ends as any other, for the requests of the next moment.
    answer = site.post("/auth/logout", {"everywhere": True}, headers)
    assert answer.status_code == 204, answer.text
    assert_problem(site.get("/auth/me", headers), 401)
    site.login("other")
    if kind(site) == "sqlite":  # PostgreSQL takes no bad text
        run("update isthmus_users set name = cast(x'ff41' as text) where email = 'one@example.org'")
        answer = site.post("/auth/login", {"email": "one@example.org", "password": PASSWORD})
        assert_problem(answer, 500, "unreadable-record")
        site.login("other")


def test_what_a_follower_has_read_cannot_be_told_if_its_checkpoint_cannot(site: Site, run: Run) -> None:
    run(
        "insert into isthmus_sync_cursors (id, created_at, updated_at, version, epoch, cursors) values"
        f" ('pair', '{GOOD}', '{GOOD}', 1, 'session', {SPOILED[kind(site)][0][1]})"
    )
    with pytest.raises(UnreadableRecord, match="column 'cursors'"):
        purge_changes(site.manager.adapter, timedelta(days=7))

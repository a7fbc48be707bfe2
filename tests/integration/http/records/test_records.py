"""Single records and batches: what is made, replaced, changed and deleted, and under which conditions."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.http.bodies import MAX_ROWS
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

PLACE = "/api/molecules/water-1"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def user(site: Site) -> Headers:
    return site.register()


def put(site: Site, user: Headers, body: Any, **conditions: str) -> Any:
    names = {name: name.replace("_", "-") for name in conditions}
    return site.call("PUT", PLACE, body, {**user, **{names[name]: value for name, value in conditions.items()}})


def test_put_makes_a_record_and_then_replaces_it(site: Site, user: Headers) -> None:
    made = put(site, user, {"name": "water", "formula": "H2O", "properties": [1]})
    assert (made.status_code, made.headers["Location"], made.headers["ETag"]) == (201, PLACE, '"1"')
    replaced = put(site, user, {"id": "water-1", "name": "ice"})
    assert (replaced.status_code, replaced.headers["ETag"]) == (200, '"2"')
    assert replaced.json["formula"] is None
    assert replaced.json["properties"] is None
    assert replaced.json["created_at"] == made.json["created_at"]
    assert replaced.json["updated_at"] > made.json["updated_at"]
    assert site.get(PLACE).json == replaced.json


def test_put_obeys_its_conditions(site: Site, user: Headers) -> None:
    assert_problem(put(site, user, {"name": "a"}, If_Match="*"), 412)
    assert put(site, user, {"name": "b"}, If_None_Match="*").status_code == 201
    assert_problem(put(site, user, {"name": "c"}, If_None_Match="*"), 412)
    assert_problem(put(site, user, {"name": "d"}, If_Match='"7", W/"1"'), 412)
    assert_problem(put(site, user, {"name": "e"}, If_Match="nonsense"), 412)
    assert put(site, user, {"name": "f"}, If_Match='"9", "1"').headers["ETag"] == '"2"'
    assert put(site, user, {"name": "g"}, If_Match="*").headers["ETag"] == '"3"'
    assert site.names() == ["g"]


def test_put_refuses_another_id_and_missing_columns(site: Site, user: Headers) -> None:
    problem = assert_problem(put(site, user, {"id": "other", "name": "x"}), 422, "invalid-row")
    assert problem["errors"][0]["pointer"] == "#/id"
    problem = assert_problem(put(site, user, {"formula": "H2O"}), 422, "invalid-row")
    assert problem["errors"][0]["column"] == "name"
    put(site, user, {"name": "there"})
    assert_problem(put(site, user, {"formula": "H2O"}), 422, "invalid-row")
    assert site.names() == ["there"]


def test_times_are_utc_with_microseconds(site: Site, user: Headers) -> None:
    row = put(site, user, {"name": "water"}).json
    assert TIME.fullmatch(row["created_at"])
    assert TIME.fullmatch(site.get(PLACE).json["updated_at"])


def test_a_known_version_is_not_sent_again(site: Site, user: Headers) -> None:
    put(site, user, {"name": "water"})
    for known in ('"1"', 'W/"1"', "*", '"5", "1"'):
        answer = site.get(PLACE, {"If-None-Match": known})
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"1"')
    assert site.get(PLACE, {"If-None-Match": '"2"'}).status_code == 200


def test_columns_can_be_chosen(site: Site, user: Headers) -> None:
    put(site, user, {"name": "water", "formula": "H2O"})
    answer = site.get(f"{PLACE}?select=formula,name")
    assert answer.json == {"formula": "H2O", "name": "water"}
    assert answer.headers["ETag"] == '"1"'
    assert_problem(site.get(f"{PLACE}?select=nothing"), 400, "invalid-query")
    assert_problem(site.get(f"{PLACE}?name=eq.water"), 400, "invalid-query")


def test_a_missing_record_cannot_be_changed_or_deleted(site: Site, user: Headers) -> None:
    assert_problem(site.call("PATCH", PLACE, {"name": "x"}, user), 404, "not-found")
    assert_problem(site.call("PATCH", PLACE, {"name": "x"}, {**user, "If-Match": '"1"'}), 404, "not-found")
    assert_problem(site.call("DELETE", PLACE, headers=site.admin()), 404, "not-found")


def test_delete_obeys_its_conditions(site: Site, user: Headers) -> None:
    admin = site.admin()
    put(site, user, {"name": "water"})
    assert_problem(site.call("DELETE", PLACE, headers={**admin, "If-Match": '"2"'}), 412)
    assert site.call("DELETE", PLACE, headers={**admin, "If-Match": '"1"'}).status_code == 204
    assert site.get(PLACE).status_code == 404


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"version": 7}, "version"),
        ({"created_at": "2020-01-01T00:00:00Z"}, "created_at"),
        ({"updated_at": None}, "updated_at"),
        ({"id": "other"}, "id"),
        ({"colour": "blue"}, "colour"),
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "nul\0"}, "name"),
    ],
)
def test_patch_names_the_column_it_refuses(site: Site, user: Headers, changes: Any, column: str) -> None:
    put(site, user, {"name": "water"})
    problem = assert_problem(site.call("PATCH", PLACE, {"formula": "H2O", **changes}, user), 422, "invalid-row")
    assert problem["errors"][0]["column"] == column
    assert problem["errors"][0]["pointer"] == f"#/{column}"
    assert site.get(PLACE).headers["ETag"] == '"1"'


@pytest.mark.parametrize("column", ["version", "created_at", "updated_at"])
def test_what_the_server_sets_cannot_be_given(site: Site, user: Headers, column: str) -> None:
    problem = assert_problem(site.post("/api/molecules", [{"name": "a"}, {"name": "b", column: 1}], user), 422)
    assert problem["errors"] == [
        {
            "row": 2,
            "column": column,
            "pointer": f"#/1/{column}",
            "detail": f"row 2: column '{column}' is set by the server; remove it",
        }
    ]
    assert site.names() == []


@pytest.mark.parametrize("record_id", [".", "..", "", 7, None, "x" * 256, "nul\0"])
def test_an_id_without_an_address_is_refused(site: Site, user: Headers, record_id: Any) -> None:
    problem = assert_problem(site.post("/api/molecules", {"id": record_id, "name": "x"}, user), 422, "invalid-row")
    assert problem["errors"][0]["column"] == "id"
    assert site.names() == []


@pytest.mark.parametrize(
    "record_id",
    ["ü€ 😀", "100%_\\", "a?b#c&d", "'; drop table molecules; --", "a.b", "%2F", "\n", "a/b", "//", "~", "~1/~x"],
)
def test_any_other_id_can_be_reached_by_its_location(site: Site, user: Headers, record_id: str) -> None:
    created = site.post("/api/molecules", {"id": record_id, "name": "x"}, user)
    assert site.get(created.headers["Location"]).json["id"] == record_id
    changed = site.call("PATCH", created.headers["Location"], {"name": "y"}, user)
    assert changed.json["name"] == "y"


def test_a_batch_is_made_as_a_whole_or_not_at_all(site: Site, user: Headers) -> None:
    made = site.post("/api/molecules", [{"id": "a", "name": "a"}, {"id": "b", "name": "b"}], user)
    assert made.status_code == 201
    assert [row["id"] for row in made.json["data"]] == ["a", "b"]
    taken = site.post("/api/molecules", [{"id": "c", "name": "c"}, {"id": "a", "name": "again"}], user)
    assert_problem(taken, 409, "constraint-violated")
    assert site.names() == ["a", "b"]


def test_a_batch_has_a_largest_size(site: Site, user: Headers) -> None:
    rows = [{"name": str(number)} for number in range(MAX_ROWS + 1)]
    assert_problem(site.post("/api/molecules", rows, user), 400)
    assert_problem(site.post("/api/molecules", [], user), 400)
    assert site.names() == []
    assert len(site.post("/api/molecules", rows[1:], user).json["data"]) == MAX_ROWS


def test_records_must_refer_to_others_that_exist(site: Site, user: Headers) -> None:
    assert_problem(site.post("/api/experiments", {"name": "e", "molecule_id": "none"}, user), 409)
    put(site, user, {"name": "water"})
    assert site.post("/api/experiments", {"name": "e", "molecule_id": "water-1"}, user).status_code == 201
    assert_problem(site.call("DELETE", PLACE, headers=site.admin()), 409, "constraint-violated")
    assert site.names() == ["water"]


def test_internal_and_unknown_tables_are_not_there(site: Site) -> None:
    admin = site.admin()
    for table in ("isthmus_users", "isthmus_idempotency_keys", "alembic_version", "sqlite_master", "none"):
        for method in ("GET", "POST"):
            answer = site.call(method, f"/api/{table}", {} if method == "POST" else None, admin)
            assert assert_problem(answer, 404)["detail"] == f"table '{table}' does not exist"
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            assert_problem(site.call(method, f"/api/{table}/1", None if method in "GET DELETE" else {}, admin), 404)


def test_writing_needs_an_account(site: Site) -> None:
    for method, path in (("POST", "/api/molecules"), ("PUT", PLACE), ("PATCH", PLACE), ("DELETE", PLACE)):
        answer = site.call(method, path, {"name": "x"})
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert site.names() == []


def test_an_integer_beyond_64_bits_is_refused_and_not_made_a_double(site: Site, user: Headers) -> None:
    body = b'{"name": "water", "properties": {"count": %d}}' % (2**64 + 1)
    answer = site.call("POST", "/api/molecules", headers=user, data=body, content_type="application/json")
    problem = assert_problem(answer, 422, "invalid-row")
    assert "64 bits" in problem["detail"]
    assert site.names() == []

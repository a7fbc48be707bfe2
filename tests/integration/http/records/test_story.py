"""The whole sequence: an account, a record, a stale change, a repeated request, a bad batch, a deletion."""

from __future__ import annotations

from tests.integration.http.support import PASSWORD
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer


def test_an_account_signs_in(site: Site) -> None:
    credentials = {"email": "Ada@Example.org", "password": PASSWORD}
    registered = site.post("/auth/register", {**credentials, "name": "Ada"})
    assert registered.status_code == 201
    signed_in = site.post("/auth/login", credentials)
    assert signed_in.status_code == 200
    assert signed_in.json["token_type"] == "Bearer"
    assert signed_in.json["expires_in"] == 900
    assert signed_in.json["user"] == registered.json["user"]
    assert signed_in.json["user"]["email"] == "ada@example.org"
    user = bearer(signed_in.json["access_token"])
    assert site.get("/auth/me", user).json == signed_in.json["user"]


def test_a_record_is_made_found_changed_and_deleted(site: Site) -> None:
    user = site.register()
    created = site.post("/api/molecules", {"name": "water", "formula": "H2O", "properties": {"mass": 18.015}}, user)
    assert created.status_code == 201
    assert created.headers["ETag"] == '"1"'
    path = created.headers["Location"]
    assert path == f"/api/molecules/{created.json['id']}"

    read = site.get(path)
    assert read.status_code == 200
    assert read.json == created.json
    assert read.headers["ETag"] == '"1"'
    assert "X-Data-Source" not in read.headers

    site.post("/api/molecules", {"name": "ice", "formula": "H2O"}, user)
    site.post("/api/molecules", {"name": "salt", "formula": "NaCl"}, user)
    listed = site.get("/api/molecules?formula=eq.H2O&order=name.asc&limit=10").json
    assert [row["name"] for row in listed["data"]] == ["ice", "water"]
    assert listed["next_cursor"] is None

    changed = site.call("PATCH", path, {"name": "heavy water"}, {**user, "If-Match": '"1"'})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"2"'
    stale = site.call("PATCH", path, {"name": "light water"}, {**user, "If-Match": '"1"'})
    assert_problem(stale, 412)
    assert site.get(path).json["name"] == "heavy water"

    assert_problem(site.call("DELETE", path), 401, "unauthorized")
    assert_problem(site.call("DELETE", path, headers=user), 403, "forbidden")
    assert site.get(path).status_code == 200
    site.register("boss")
    site.grant("boss", "admin")
    gone = site.call("DELETE", path, headers=site.login("boss"))
    assert (gone.status_code, gone.data) == (204, b"")
    assert_problem(site.get(path), 404, "not-found")


def test_a_repeated_request_has_one_effect(site: Site) -> None:
    user = site.register()
    keyed = {**user, "Idempotency-Key": "3f6c"}
    first = site.post("/api/molecules", {"name": "once"}, keyed)
    again = site.post("/api/molecules", {"name": "once"}, keyed)
    assert first.status_code == again.status_code == 201
    assert first.json == again.json
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert site.names().count("once") == 1


def test_a_batch_with_a_bad_third_row_leaves_nothing(site: Site) -> None:
    user = site.register()
    refused = site.post("/api/molecules", [{"name": "a"}, {"name": "b"}, {"name": 3}], user)
    (error,) = assert_problem(refused, 422, "invalid-row")["errors"]
    assert (error["row"], error["column"], error["pointer"]) == (3, "name", "#/2/name")
    assert site.names() == []

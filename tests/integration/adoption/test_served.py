"""Adopted tables are served, under the policies that they have, and nothing is changed in their database."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import apsw
import pytest

from database.core.context import as_application
from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import caller
from tests.integration.adoption.conftest import fingerprint
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import of_table
from tests.integration.adoption.conftest import on_postgres
from tests.integration.adoption.conftest import rows
from tests.integration.adoption.conftest import sqlite_file
from tests.integration.adoption.conftest import started
from tests.integration.http.support import assert_problem
from tests.servers.postgres import PostgresDatabase


def _profile(database: PostgresDatabase, name: str) -> str:
    subject = str(uuid4())
    database.execute(f"insert into auth.users (id) values ('{subject}')")
    database.execute(f"insert into profiles (id, username) values ('{subject}', '{name}')")
    return subject


@pytest.fixture
def profiles(supabase: PostgresDatabase) -> PostgresDatabase:
    load(supabase, "supabase_auth", "supabase_profiles")
    return supabase


def test_the_database_s_own_policies_decide(profiles: PostgresDatabase, project: MakeProject) -> None:
    ada, bob = _profile(profiles, "ada"), _profile(profiles, "bob")
    made = project(**on_postgres(profiles))
    made.adopt("--read", "anyone", "--write", "user", "--delete", "user")
    before = fingerprint(profiles)
    site = started(made)
    as_ada = caller(site, ada)
    assert {row["username"] for row in rows(site.get("/api/profiles"))} == {"ada", "bob"}
    changed = site.call("PATCH", f"/api/profiles/{ada}", {"full_name": "Ada L."}, as_ada)
    assert (changed.status_code, changed.json["full_name"]) == (200, "Ada L.")
    # The policy lets her see it, and not change it.
    assert site.call("PATCH", f"/api/profiles/{bob}", {"full_name": "Bobby"}, as_ada).status_code == 404
    assert site.call("POST", "/api/profiles", {"id": str(uuid4()), "username": "eve"}, as_ada).status_code == 403
    # There is no policy for deletions.
    assert site.call("DELETE", f"/api/profiles/{ada}", headers=as_ada).status_code == 404
    # The check constraint of the database.
    assert site.call("PATCH", f"/api/profiles/{ada}", {"username": "a"}, as_ada).status_code == 422
    with as_application():
        found = site.manager.table("profiles").select("username").order("username").execute().rows
    assert found == [{"username": "ada"}, {"username": "bob"}]
    site.close()
    assert fingerprint(profiles) == before


def test_records_numbered_by_the_database_under_its_policies(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, "supabase_auth", "supabase_todos")
    ada, bob = str(uuid4()), str(uuid4())
    supabase.execute(f"insert into auth.users (id) values ('{ada}'), ('{bob}')")
    made = project(**on_postgres(supabase))
    made.adopt("--read", "user", "--write", "user", "--delete", "user")
    before = fingerprint(supabase)
    site = started(made)
    as_ada, as_bob = caller(site, ada), caller(site, bob)
    created = site.post("/api/todos", {"user_id": ada, "task": "water the plants"}, as_ada)
    assert created.status_code == 201, created.text
    assert (created.json["id"], created.json["is_complete"]) == (1, False)
    assert created.headers["Location"] == "/api/todos/1"
    assert site.post("/api/todos", {"user_id": ada, "task": "not for you"}, as_bob).status_code == 403
    assert [len(rows(site.get("/api/todos", who))) for who in (as_ada, as_bob)] == [1, 0]
    assert site.call("PATCH", "/api/todos/1", {"is_complete": True}, as_bob).status_code == 404
    tag = {"If-Match": created.headers["ETag"]}
    supabase.execute("update todos set task = 'water all plants'")
    assert site.call("PATCH", "/api/todos/1", {"is_complete": True}, as_ada | tag).status_code == 412
    assert site.call("PATCH", "/api/todos/1", {"is_complete": True}, as_ada).json["is_complete"] is True
    assert site.call("DELETE", "/api/todos/1", headers=as_ada).status_code == 204
    site.close()
    assert fingerprint(supabase) == before


def test_pagila_is_read_and_written(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, "pagila")
    supabase.execute(
        "grant all on all tables in schema public to authenticated, anon;"
        "grant all on all sequences in schema public to authenticated, anon;"
        "insert into language (name) values ('English')"
    )
    made = project(**on_postgres(supabase))
    made.adopt("--key", "actor_info=actor_id", "--read", "anyone", "--write", "anyone", "--delete", "anyone")
    site = started(made)
    film = site.post("/api/film", {"title": "Academy Dinosaur", "language_id": 1, "release_year": 2006})
    assert film.status_code == 201, film.text
    assert '"rental_rate":4.99' in film.text
    wanted = {"film_id": 1, "rental_duration": 3, "title_length": 16}
    assert wanted.items() <= film.json.items()
    assert site.call("PATCH", "/api/film/1", {"release_year": 1800}).status_code == 422
    assert site.call("PATCH", "/api/film/1", {"title_length": 3}).status_code in {400, 422}
    changed = site.call("PUT", "/api/film/1", {"title": "Ace Goldfinger", "language_id": 1})
    assert (changed.status_code, changed.json["title_length"], changed.json["rental_duration"]) == (200, 14, 3)
    # A trigger sets it, and the answer has what it made.
    assert changed.json["last_update"] > film.json["last_update"]
    assert site.post("/api/film_actor", {"film_id": 1, "actor_id": 2}).headers["Location"] == "/api/film_actor/2,1"
    assert site.get("/api/film_actor/2,1?select=actor(last_name)").json == {"actor": {"last_name": "Wahlberg"}}
    assert site.get("/api/actor_info/2").json == {"actor_id": 2, "name": "Nick Wahlberg"}
    assert site.call("DELETE", "/api/actor_info/2").status_code in {401, 403}
    assert site.get("/api/language/1").status_code == 200
    features = {"rating": "PG-13", "special_features": ["Trailers", "Deleted Scenes"], "replacement_cost": "19.50"}
    assert site.call("PATCH", "/api/film/1", features).json["special_features"] == ["Trailers", "Deleted Scenes"]
    assert '"replacement_cost":19.50' in site.get("/api/film/1").text
    assert [one["film_id"] for one in rows(site.get("/api/film?rating=eq.PG-13"))] == [1]
    assert rows(site.get("/api/film?rating=eq.nonsense")) == []
    assert site.call("PATCH", "/api/film/1", {"rating": "nonsense"}).status_code == 422
    # The constraint of a domain.
    assert site.call("PATCH", "/api/film/1", {"replacement_cost": "-1.00"}).status_code == 422
    site.close()


def test_a_table_is_closed_unless_it_is_opened(profiles: PostgresDatabase, project: MakeProject) -> None:
    ada = _profile(profiles, "ada")
    made = project(**on_postgres(profiles))
    made.adopt()
    site = started(made)
    assert site.get("/api/profiles", caller(site, ada)).status_code == 404
    site.close()


def test_the_owner_may_be_a_uuid_that_is_the_key(profiles: PostgresDatabase, project: MakeProject) -> None:
    ada, bob = _profile(profiles, "ada"), _profile(profiles, "bob")
    made = project(**on_postgres(profiles))
    made.adopt("--read", "owner", "--write", "owner", "--owner", "id")
    site = started(made)
    as_ada = caller(site, ada)
    assert [row["id"] for row in rows(site.get("/api/profiles", as_ada))] == [ada]
    assert site.get(f"/api/profiles/{bob}", as_ada).status_code == 404
    assert site.get("/api/profiles").status_code == 401
    site.close()


def test_names_that_need_quotes(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, "awkward")
    supabase.execute("grant all on all tables in schema public to authenticated")
    made = project(**on_postgres(supabase))
    made.adopt("--read", "anyone", "--write", "user", "--delete", "user")
    site = started(made)
    ada = caller(site, "ada")
    row = {"id": "b", "Full Name": "Bob", "order": 3, "100%": "half", "it's": "his"}
    created = site.post("/api/Odd%20Table", row, ada)
    assert created.status_code == 201, created.text
    assert {**row, "select": 7}.items() <= created.json.items()
    assert created.headers["Location"] == "/api/Odd%20Table/b"
    assert rows(site.get('/api/Odd%20Table?"order"=eq.3&select=id,Full Name'))[0] == {"id": "b", "Full Name": "Bob"}
    assert [one["id"] for one in rows(site.get("/api/Odd%20Table?order=Full Name.desc&100%25=is.null"))] == ["a"]
    default = site.post("/api/Odd%20Table", {"id": "c", "Full Name": "Cy"}, ada)
    assert default.json["it's"] == 'it\'s "odd"; drop table x --'
    site.close()


def test_what_needs_our_own_tables_says_so(profiles: PostgresDatabase, project: MakeProject) -> None:
    ada = _profile(profiles, "ada")
    made = project(**on_postgres(profiles))
    made.adopt("--read", "anyone", "--write", "user")
    site = started(made)
    ready = site.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "ready")
    assert set(ready.json["features_off"]) == {*("accounts", "sessions", "idempotency keys", "two-way sync", "stores")}
    assert "flask db upgrade" in ready.json["features_off"]["accounts"]
    assert site.get("/status").json["features_off"] == ready.json["features_off"]
    account = {"email": "ada@example.org", "password": "correct horse battery staple"}
    for answer in (
        site.post("/auth/register", account),
        site.post("/auth/login", account),
        site.call("PATCH", f"/api/profiles/{ada}", {"website": "x"}, {**caller(site, ada), "Idempotency-Key": "k"}),
    ):
        assert "flask db upgrade" in assert_problem(answer, 503)["detail"]
    assert rows(site.get("/api/profiles"))[0]["website"] is None
    site.close()


def test_the_upgrade_installs_our_own_tables_and_leaves_the_adopted_ones(
    profiles: PostgresDatabase, project: MakeProject
) -> None:
    made = project(**on_postgres(profiles))
    made.adopt("--read", "anyone", "--write", "user")
    before = of_table(profiles, "profiles")
    assert made.run("upgrade").exit_code == 0
    assert of_table(profiles, "profiles") == before
    assert made.run("check").output == "supabase: as declared\n"
    revision = made.run("revision", "Nothing")
    assert revision.exit_code == 0, revision.output
    written = next((made.folder / "migrations" / "versions").glob("*.py")).read_text()
    assert "profiles" not in written
    site = started(made)
    assert "features_off" not in site.get("/readyz").json
    assert site.register("ada")
    site.close()


def test_an_sqlite_file_of_another_program(tmp_path: Path, project: MakeProject) -> None:
    path = sqlite_file(tmp_path / "shop.db", "chinook_sqlite")
    before = path.read_bytes()
    made = project(LOCAL_DB_PATH=path)
    made.adopt("--read", "anyone", "--write", "anyone", "--delete", "anyone")
    assert path.read_bytes() == before
    site = started(made)
    first, second = rows(site.get("/api/Shelf%20Place?order=id"))
    assert (first["paid"], second["paid"]) == (12.5, 3)
    assert '"paid":12.50' in site.get("/api/Shelf%20Place/a").text
    assert (first["bought"], first["open"], first["julian"], second["unix"]) == (
        "2024-02-29",
        True,
        2460370.5,
        1709208001,
    )
    assert [row["id"] for row in rows(site.get("/api/Shelf%20Place?paid=eq.12.5"))] == ["a"]
    assert [row["id"] for row in rows(site.get("/api/Shelf%20Place?paid=lt.3.01&order=paid"))] == ["b"]
    site.call("PATCH", "/api/Shelf%20Place/b", {"paid": "0.30", "bought": "2024-03-01"}).get_data()
    assert site.post("/api/Shelf%20Place", {"id": "c", "paid": 1234567.89}).status_code == 201
    artist = site.post("/api/Artist", {"Name": "Aerosmith"})
    assert (artist.status_code, artist.json, artist.headers["Location"]) == (
        201, {"ArtistId": 3, "Name": "Aerosmith"}, "/api/Artist/3",
    )  # fmt: skip
    assert site.get("/api/PlaylistTrack/1,2").json == {"PlaylistId": 1, "TrackId": 2}
    assert site.call("DELETE", "/api/PlaylistTrack/1,2").status_code == 204
    track = site.call("PATCH", "/api/Track/2", {"UnitPrice": "1.10"})
    assert '"UnitPrice":1.10' in track.text
    assert site.get("/api/Track/2?select=Name,Album(Title)").json["Album"] == {"Title": "Balls to the Wall"}
    with as_application():
        stored = site.manager.execute_query(
            'select id, typeof(paid) as type, paid = 0.3 as same, "Full Name" as name from "Shelf Place" order by id'
        )
    assert [row["type"] for row in stored] == ["real", "real", "real"]
    assert (stored[1]["same"], stored[2]["name"]) == (1, "unnamed")
    site.close()


def test_timestamps_keep_the_form_of_the_other_program(tmp_path: Path, project: MakeProject) -> None:
    path = sqlite_file(tmp_path / "shop.db", "chinook_sqlite")
    made = project(LOCAL_DB_PATH=path)
    made.adopt("--read", "anyone", "--write", "anyone")
    site = started(made)
    invoice = {"InvoiceId": 1, "InvoiceDate": "2009-01-01T00:00:00.000000", "Total": 1.98}
    assert site.get("/api/Invoice/1").json == invoice
    later = site.post("/api/Invoice", {"InvoiceDate": "2009-01-01T00:00:01", "Total": 2})
    assert (later.status_code, later.json["InvoiceDate"]) == (201, "2009-01-01T00:00:01.000000")
    assert site.post("/api/Invoice", {"InvoiceDate": "2009-01-01T00:00:01.5", "Total": 2}).status_code == 422
    assert rows(site.get("/api/Invoice?InvoiceDate=lt.2009-01-01T00:00:00.5")) == [invoice]
    assert [one["InvoiceId"] for one in rows(site.get("/api/Invoice?order=InvoiceDate.desc"))] == [2, 1]
    with as_application():
        kept = site.manager.execute_query('select "InvoiceDate" as at from Invoice order by 1')
    assert [str(row["at"]) for row in kept] == ["2009-01-01 00:00:00", "2009-01-01 00:00:01"]
    diary = site.post("/api/diary", {"id": "y", "happened": "2024-02-29T12:30:00", "entry": "sun"})
    assert diary.json == {"id": "y", "happened": "2024-02-29T12:30:00.000000", "entry": "sun"}
    site.close()
    db = apsw.Connection(str(path))
    assert db.execute("select happened from diary union all select InvoiceDate from Invoice").fetchall() == [
        ("2024-02-29 12:30:00",), ("2024-02-29 12:30:00",), ("2009-01-01 00:00:00",), ("2009-01-01 00:00:01",),
    ]  # fmt: skip
    db.close()

"""One token, everywhere: who asks sees what is theirs, and never what is another's."""

from __future__ import annotations

import json
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from auth.bridge import AuthBridge
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.core.context import acting_as
from database.extension import Isthmus
from tests.integration.auth_everywhere.conftest import ADA
from tests.integration.auth_everywhere.conftest import BOB
from tests.integration.auth_everywhere.conftest import CHIEF
from tests.integration.auth_everywhere.conftest import Place
from tests.integration.http.support import Headers
from tests.integration.http.support import bearer
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import SupabaseApi
from tests.servers.tokens import TokenSigner

SECRET = "nobody's business"


def add_notes(place: Place) -> None:
    """A note of Ada's and one of Bob's, and a molecule."""
    for subject, name, body in ((ADA, "a", "mine"), (BOB, "b", SECRET)):
        note = {"id": name, "title": name, "body": body}
        assert place.site.post("/api/notes", note, place.headers(subject)).status_code == 201
    assert place.site.post("/api/molecules", {"name": "Water"}, place.headers(ADA)).status_code == 201


def listed(place: Place, headers: Headers, query: str = "") -> list[str]:
    answer = place.site.get(f"/api/notes{query}", headers)
    assert answer.status_code == 200, answer.text
    ids = [note["id"] for note in answer.json["data"]]
    assert (SECRET in answer.text) is ("b" in ids)
    return ids


@pytest.mark.parametrize(
    "query", ["", "?id=eq.b", "?owner_id=neq.x", "?or=(id.eq.a,id.eq.b)", "?limit=1&order=id.desc"]
)
def test_a_list_has_own_notes(place: Place, query: str) -> None:
    add_notes(place)
    assert listed(place, place.headers(ADA), query) == ([] if query == "?id=eq.b" else ["a"])
    assert listed(place, place.headers(CHIEF), query) == []


def test_a_count_is_of_own_notes(place: Place) -> None:
    add_notes(place)
    assert place.site.get("/api/notes?count=exact&limit=0", place.headers(ADA)).json["count"] == 1


def test_anothers_note_is_not_there(place: Place) -> None:
    add_notes(place)
    note, headers = "/api/notes/b", place.headers(ADA)
    etag = {"If-Match": place.site.get(note, place.headers(BOB)).headers["ETag"]}
    for answer in (
        place.site.get(note, headers),
        place.site.call("PATCH", note, {"title": "x"}, headers),
        place.site.call("PATCH", note, {"title": "x"}, {**headers, **etag}),
        place.site.call("DELETE", note, headers=headers),
        place.site.call("DELETE", note, headers={**headers, "If-Match": "*"}),
    ):
        assert answer.status_code == 404, answer.text
        assert SECRET not in answer.text
    assert place.site.call("PUT", note, {"title": "x"}, headers).status_code in {403, 409}
    assert place.site.post("/api/notes", {"id": "b", "title": "x"}, headers).status_code in {403, 409}
    assert place.site.get(note, place.headers(BOB)).json["body"] == SECRET


def test_own_notes_are_read_and_written(place: Place) -> None:
    add_notes(place)
    note, headers = "/api/notes/a", place.headers(ADA)
    assert place.site.get(note, headers).json["owner_id"] == ADA
    assert place.site.call("PATCH", note, {"title": "x"}, headers).json["title"] == "x"
    replaced = place.site.call("PUT", note, {"title": "y"}, headers)
    assert (replaced.status_code, replaced.json["owner_id"], replaced.json["body"]) == (200, ADA, None)
    created = place.site.call("PUT", "/api/notes/new", {"title": "z"}, headers)
    assert (created.status_code, created.json["owner_id"]) == (201, ADA)
    assert place.site.call("DELETE", note, headers=headers).status_code == 204
    assert listed(place, headers) == ["new"]


def test_nobody_writes_in_anothers_name(place: Place) -> None:
    add_notes(place)
    headers = place.headers(ADA)
    for answer in (
        place.site.post("/api/notes", {"title": "x", "owner_id": BOB}, headers),
        place.site.post("/api/notes", [{"title": "x"}, {"title": "y", "owner_id": BOB}], headers),
        place.site.call("PATCH", "/api/notes/a", {"owner_id": BOB}, headers),
        place.site.call("PUT", "/api/notes/a", {"title": "x", "owner_id": BOB}, headers),
    ):
        assert answer.status_code == 403, answer.text
    assert listed(place, place.headers(BOB)) == ["b"]
    assert listed(place, headers) == ["a"]


def test_the_anonymous_see_what_the_tables_declare(place: Place) -> None:
    add_notes(place)
    assert [row["name"] for row in place.site.get("/api/molecules").json["data"]] == ["Water"]
    for method, path, body in (
        ("GET", "/api/notes", None),
        ("GET", "/api/notes/a", None),
        ("POST", "/api/notes", {"title": "x"}),
        ("DELETE", "/api/notes/a", None),
        ("POST", "/api/molecules", {"name": "Ice"}),
    ):
        assert place.site.call(method, path, body).status_code == 401
    with acting_as(ANONYMOUS):
        assert len(place.site.manager.table("molecules").execute()) == 1


def test_a_repeated_request_answers_its_own_caller(place: Place) -> None:
    key = {"Idempotency-Key": "the-same"}
    first = place.site.post("/api/notes", {"title": "x"}, {**place.headers(ADA), **key})
    second = place.site.post("/api/notes", {"title": "x"}, {**place.headers(BOB), **key})
    again = place.site.post("/api/notes", {"title": "x"}, {**place.headers(ADA), **key})
    assert [answer.json["owner_id"] for answer in (first, second, again)] == [ADA, BOB, ADA]
    assert first.json == again.json


def test_the_same_token_serves_everywhere(believing_place: Place, token_signer: TokenSigner) -> None:
    """It was made by none of the applications, but with their key."""
    headers = bearer(_shared_token(token_signer))
    add_notes(believing_place)
    assert listed(believing_place, headers) == ["a"]
    assert believing_place.site.get("/api/notes/b", headers).status_code == 404


def test_convex_itself_believes_the_token(convex: Place, token_signer: TokenSigner) -> None:
    token = _shared_token(token_signer)
    identity = Identity(ADA, "authenticated", {"sub": ADA}, token)
    with acting_as(identity):
        viewer = convex.site.manager.execute_query("api.users.viewer")
    assert (viewer["subject"], viewer["service"]) == (ADA, False)


def test_the_database_itself_tells_the_callers_apart(direct: Place, project_database: PostgresDatabase) -> None:
    """Row level security alone, with the claims of a token and without the data layer."""
    add_notes(direct)
    claims = Isthmus.of(direct.site.app)[AuthBridge].validate_token(direct.token(ADA)) or {}
    assert _seen_by(project_database, claims) == ["a"]
    assert _changed_by(project_database, claims) == ["a"]
    assert _seen_by(project_database, {**claims, "sub": BOB}) == ["b"]


def test_a_project_itself_tells_the_callers_apart(over_http: Place, project: SupabaseApi) -> None:
    """PostgREST alone, with the token and without the data layer."""
    add_notes(over_http)

    def asked(token: str, method: str = "GET") -> list[dict[str, Any]]:
        headers = {"apikey": project.anon_key, "Authorization": f"Bearer {token}", "Prefer": "return=representation"}
        answer = httpx.request(method, f"{project.url}/rest/v1/notes?id=neq.x", headers=headers)
        found: list[dict[str, Any]] = answer.json() if answer.status_code == 200 else []
        return found

    assert [row["id"] for row in asked(over_http.token(ADA))] == ["a"]
    assert asked(project.anon_key) == []
    assert [row["id"] for row in asked(over_http.token(ADA), "DELETE")] == ["a"]
    assert [row["body"] for row in asked(over_http.token(BOB))] == [SECRET]


def _shared_token(signer: TokenSigner) -> str:
    return signer.token(ADA, jti="1", app_metadata={"role": "user"})


def _seen_by(database: PostgresDatabase, claims: dict[str, Any]) -> list[str]:
    return _answers(database, claims, "select id from notes order by id")


def _changed_by(database: PostgresDatabase, claims: dict[str, Any]) -> list[str]:
    return _answers(database, claims, "update notes set title = 'x' where true returning id")


def _answers(database: PostgresDatabase, claims: dict[str, Any], statement: str) -> list[str]:
    with psycopg.connect(database.dsn) as connection:
        connection.execute("set local role authenticated")
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        return [row[0] for row in connection.execute(sql.SQL(statement))]

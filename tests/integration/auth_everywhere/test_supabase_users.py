"""A project whose users sign in with Supabase Auth: its own policies decide about the callers of the application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import Final

import jwt
import pytest

from tests.integration.auth_everywhere.conftest import ADA
from tests.integration.auth_everywhere.conftest import BOB
from tests.integration.auth_everywhere.conftest import SETTINGS
from tests.integration.auth_everywhere.conftest import opened
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import bearer
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import JWT_SECRET
from tests.servers.tokens import TokenSigner

ISSUER: Final = "https://project.supabase.co/auth/v1"
# As a project writes them, with the functions that Supabase offers for it.
POLICY: Final = """
create policy of_the_project on notes as restrictive for all to authenticated using (
    (select auth.uid())::text = owner_id and auth.jwt() -> 'user_metadata' ->> 'team' = body
)"""


def token(subject: str, team: str = "red", **claims: Any) -> str:
    """A token that the project's Supabase Auth would issue, signed with its legacy secret."""
    made = TokenSigner(ISSUER).token(subject, user_metadata={"team": team}, session_id="s", **claims)
    return jwt.encode(jwt.decode(made, options={"verify_signature": False}), JWT_SECRET, "HS256")


def headers(subject: str, team: str = "red") -> Headers:
    return bearer(token(subject, team))


@pytest.fixture(params=["supabase_direct", "supabase_http"])
def site(request: pytest.FixtureRequest, tmp_path: Path, project_database: PostgresDatabase) -> Iterator[Site]:
    """The application without accounts of its own, on a project whose table has a policy of the project."""
    settings, project = SETTINGS[request.param](request)
    issuer = {"name": "project", "issuer": ISSUER, "audience": "authenticated", "bearer": True}
    keys = {"secret": JWT_SECRET, "algorithms": ["HS256"]}
    # No secret of the project is ours, either.
    settings = {name: value for name, value in settings.items() if not name.startswith("JWT_")}
    settings |= {"AUTH_FOREIGN_ISSUERS": json.dumps([{**issuer, **keys}]), "AUTH_ACCOUNTS": False}
    with opened(request.param, tmp_path, settings, project) as place:
        project_database.execute(POLICY)
        yield place.site
        project_database.execute("drop policy of_the_project on notes")


def test_the_policies_of_the_project_see_its_callers(site: Site) -> None:
    for subject, name, team in ((ADA, "a", "red"), (BOB, "b", "red"), (ADA, "c", "blue")):
        made = site.post("/api/notes", {"id": name, "title": name, "body": team}, headers(subject, team))
        assert (made.status_code, made.json["owner_id"]) == (201, subject), made.text

    def seen(caller: Headers) -> list[str]:
        return [note["id"] for note in site.get("/api/notes?order=id", caller).json["data"]]

    assert (seen(headers(ADA)), seen(headers(BOB)), seen(headers(ADA, "blue"))) == (["a"], ["b"], ["c"])
    assert site.get("/api/notes/c", headers(ADA)).status_code == 404
    assert site.call("PATCH", "/api/notes/c", {"title": "x"}, headers(ADA)).status_code == 404
    assert site.call("PATCH", "/api/notes/a", {"title": "x"}, headers(ADA)).json["title"] == "x"
    # Of another team's note, the database says what the application cannot know.
    refused = site.post("/api/notes", {"title": "x", "body": "blue"}, headers(ADA))
    assert (refused.status_code, refused.json["type"].rpartition(":")[2]) == (403, "permission-denied")
    assert site.get("/api/notes").status_code == 401

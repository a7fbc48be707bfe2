"""Signing in and up with the project's own users."""

from __future__ import annotations

from datetime import timedelta

import pytest

from database.backends.supabase import SupabaseAdapter
from database.core.clock import monotonic
from database.core.clock import utc_now
from database.core.errors import Conflict
from database.core.errors import ConnectFailed
from database.core.errors import CredentialsRefused
from database.core.errors import InvalidQuery
from database.core.errors import OutcomeUnknown
from database.core.errors import PermissionDenied
from database.core.errors import Throttled
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.operations import Select
from database.core.tables.schema import new_id
from tests.integration.supabase_http.conftest import Make
from tests.integration.supabase_http.scripted import ScriptedServer
from tests.integration.supabase_http.scripted import answering
from tests.integration.supabase_http.scripted import trickling
from tests.servers.network.ports import free_port
from tests.servers.supabase_api import SupabaseApi

PASSWORD = "correct horse battery staple"


@pytest.fixture
def email() -> str:
    return f"{new_id()}@example.test"


def test_a_new_user_has_a_session(adapter: SupabaseAdapter, email: str) -> None:
    created = adapter.auth().sign_up(email, PASSWORD)
    session = adapter.auth().sign_in(email, PASSWORD)
    assert session.user_id == created.user_id
    assert session.email == email
    assert session.access_token
    assert session.refresh_token
    assert session.expires_at is not None
    assert session.expires_at - utc_now() > timedelta(minutes=1)
    assert str(session.access_token) not in repr(session)
    assert str(session.refresh_token) not in repr(session)


def test_a_session_is_nobody_elses(make: Make, project: SupabaseApi, email: str) -> None:
    adapter = make(project.url, project.service_key, project.anon_key)
    adapter.auth().sign_up(email, PASSWORD)
    adapter.auth().sign_in(email, PASSWORD)
    sent: list[str] = []
    adapter.backend.client.http.event_hooks = {
        "request": [lambda request: sent.append(request.headers["authorization"])]
    }
    adapter.run(Select("things"))
    assert set(sent) == {f"Bearer {project.service_key}"}


def test_what_is_refused(adapter: SupabaseAdapter, email: str) -> None:
    auth = adapter.auth()
    auth.sign_up(email, PASSWORD)
    with pytest.raises(PermissionDenied) as unknown:
        auth.sign_in(f"no.{email}", PASSWORD)
    with pytest.raises(PermissionDenied) as wrong:
        auth.sign_in(email, "wrong")
    assert str(unknown.value) == str(wrong.value)
    with pytest.raises(Conflict):
        auth.sign_up(email, PASSWORD)
    for bad in ("", "not an address"):
        with pytest.raises(InvalidQuery):
            auth.sign_up(bad, PASSWORD)


def test_a_user_who_has_to_confirm_has_no_session_yet(make: Make, scripted: ScriptedServer) -> None:
    now = utc_now().isoformat()
    user = {"id": "u", "aud": "authenticated", "email": "a@b.c", "created_at": now, "app_metadata": {}}
    scripted.answer = answering(200, {**user, "user_metadata": {}})
    created = make(scripted.url).auth().sign_up("a@b.c", PASSWORD)
    assert (created.user_id, created.access_token, created.expires_at) == ("u", None, None)


def test_a_project_that_is_not_well(make: Make, scripted: ScriptedServer) -> None:
    auth = make(scripted.url, timeout=0.4).auth()
    for status, kind in ((429, Throttled), (401, CredentialsRefused), (403, PermissionDenied)):
        scripted.answer = answering(status, {"msg": "no"})
        with pytest.raises(kind):
            auth.sign_in("a@b.c", PASSWORD)
    for answer in (answering(502, b""), answering(200, b"<html>"), answering(200, {}), answering(302, b"")):
        scripted.answer = answer
        with pytest.raises(Unavailable):
            auth.sign_in("a@b.c", PASSWORD)
        with pytest.raises(OutcomeUnknown):
            auth.sign_up("a@b.c", PASSWORD)
    scripted.answer = trickling(5, from_the_head=False)
    begun = monotonic()
    with pytest.raises(TimedOut):
        auth.sign_in("a@b.c", PASSWORD)
    assert monotonic() - begun < 3  # seconds; the answer takes 5
    with pytest.raises(ConnectFailed):
        make(f"http://127.0.0.1:{free_port()}").auth().sign_in("a@b.c", PASSWORD)

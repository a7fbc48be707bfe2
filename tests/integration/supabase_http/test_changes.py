"""The feed over HTTP, which takes the secret key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from database.backends.faulty import FaultyAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.context import ANONYMOUS
from database.core.context import acting_as
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.operations import Insert
from database.purging import purge_changes
from tests.contract.callers import caller
from tests.contract.following import Inbox
from tests.contract.following import told
from tests.integration.supabase_http.conftest import PUBLISHABLE
from tests.integration.supabase_http.conftest import Make
from tests.integration.supabase_http.scripted import Asked
from tests.integration.supabase_http.scripted import ScriptedServer
from tests.integration.supabase_http.scripted import answering
from tests.servers.supabase_api import SupabaseApi


def test_without_the_secret_key_it_is_refused_before_any_io(make: Make, scripted: ScriptedServer) -> None:
    inner = make(scripted.url, PUBLISHABLE)
    for adapter in (inner, FaultyAdapter(inner)):
        assert not adapter.capabilities.changes
        for attempt in (adapter.changes, lambda one=adapter: one.table("things").subscribe(Inbox())):
            with pytest.raises(Unsupported) as refused:
                attempt()
            assert refused.value.capability == "changes"
    with pytest.raises(Unsupported, match="SUPABASE_KEY"):
        inner.changes()
    with pytest.raises(Unsupported, match="SUPABASE_KEY"):
        inner.table("things").subscribe(Inbox())
    assert scripted.asked == []


def test_with_the_secret_key_alone_there_is_a_feed(adapter: SupabaseAdapter) -> None:
    start = adapter.changes()
    adapter.run(Insert("notes", [{"id": "a"}]))
    assert told(adapter, start.cursor) == [("insert", "a")]


def test_callers_cannot_call_the_function(make: Make, project: SupabaseApi) -> None:
    anybody = make(project.url, project.anon_key)
    user = caller("0198c5d2-0000-7000-8000-00000000000a")
    for identity in (ANONYMOUS, user):
        with acting_as(identity), pytest.raises(PermissionDenied):
            anybody.call("isthmus_changes", {"after": None, "most": 1})


def test_a_project_without_the_log_says_what_to_do(make: Make, scripted: ScriptedServer) -> None:
    scripted.answer = answering(404, {"code": "PGRST202", "message": "no such function"})
    with pytest.raises(SchemaMismatch, match="flask db supabase-sql"):
        make(scripted.url).changes()


@pytest.mark.parametrize("answer", [[], {}, {"entries": [], "cursor": None, "more": False, "gap": False}, "standby"])
def test_another_answer_is_none(make: Make, scripted: ScriptedServer, answer: object) -> None:
    scripted.answer = answering(200, answer)
    with pytest.raises(Unavailable):
        make(scripted.url).changes()


def test_a_log_of_a_former_version_says_what_to_do(make: Make, scripted: ScriptedServer) -> None:
    scripted.answer = answering(
        200, {"changes": [["things", "a", "insert"]], "cursor": "", "more": False, "gap": False}
    )
    with pytest.raises(SchemaMismatch, match="flask db upgrade"):
        make(scripted.url).changes()


def test_a_row_that_came_between_the_rows_and_their_number_is_read(make: Make, scripted: ScriptedServer) -> None:
    row = {"id": "a", "body": None}

    def answer(asked: Asked) -> list[bytes]:
        rows = [row] if len(scripted.asked) > 1 else []
        return list(answering(200, rows, Content_Range="0-0/1" if rows else "*/1")(asked))

    scripted.answer = answer
    assert make(scripted.url).table("notes").execute().rows == [row]
    assert len(scripted.asked) == 2


def test_the_log_is_purged_by_who_has_the_secret_key(
    adapter: SupabaseAdapter, make: Make, project: SupabaseApi
) -> None:
    start = adapter.changes()
    adapter.run(Insert("notes", [{"id": "purged"}]))
    assert purge_changes(adapter, timedelta(days=7)) == 0
    assert purge_changes(adapter, timedelta()) >= 1
    assert adapter.changes(start.cursor).gap
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
        make(project.url, project.anon_key).call("isthmus_changes_purge", {"keep": "0 seconds", "cursors": []})

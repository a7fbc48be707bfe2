"""Answers that no project would give, or gives when it is not well."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from database.backends.supabase import SupabaseAdapter
from database.core.clock import utc_now
from database.core.errors import CredentialsRefused
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.errors import Throttled
from database.core.errors import Unavailable
from database.core.operations import Call
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import QueryCall
from database.core.operations import Select
from tests.integration.supabase_http.conftest import SECRET
from tests.integration.supabase_http.conftest import Make
from tests.integration.supabase_http.scripted import Answer
from tests.integration.supabase_http.scripted import ScriptedServer
from tests.integration.supabase_http.scripted import answering
from tests.integration.supabase_http.scripted import head

NOTE = {"id": "a", "body": "x"}
READ = Select("notes", limit=1)
ASK = QueryCall("f", {})
WRITE = Call("f", {"a": 1})

PORTAL = b"<html><body>Please sign in to the Wi-Fi of the airport.</body></html>"


@pytest.fixture
def adapter(make: Make, scripted: ScriptedServer) -> SupabaseAdapter:
    return make(scripted.url)


@pytest.mark.parametrize(
    "answer",
    [
        answering(200, PORTAL, Content_Type="text/html"),
        answering(200, PORTAL, Content_Type="application/json"),
        answering(200, b""),
        answering(200, b'[{"id": "a", '),
        answering(302, b"", Location="http://127.0.0.1:9/sign-in"),
        answering(404, PORTAL),
        answering(500, b"Internal Server Error"),
        answering(502, PORTAL),
        answering(503, {"message": "name resolution failed"}),
        answering(504, b""),
        answering(522, b"error code: 522"),
        answering(200, b"not gzip", Content_Encoding="gzip"),
        lambda _: [head(200, 100, Connection="close") + b'[{"id": "a"'],
        lambda _: [head(200, None) + b'[{"id": "a"'],
        lambda _: [b"HTTP/1.1 2"],
        lambda _: [b"SSH-2.0-OpenSSH_9.2\r\n"],
        lambda _: [],
    ],
    ids=[
        "portal",
        "portal as JSON",
        "empty",
        "half",
        "redirect",
        "404",
        "500",
        "502",
        "503",
        "504",
        "522",
        "not gzip",
        "cut",
        "cut without length",
        "cut in the head",
        "not HTTP",
        "closed",
    ],
)
def test_what_is_no_answer(adapter: SupabaseAdapter, scripted: ScriptedServer, answer: Answer) -> None:
    scripted.answer = answer
    for reading in (READ, ASK):
        with pytest.raises(Unavailable) as failed:
            adapter.run(reading)
        assert failed.value.retryable
    with pytest.raises(OutcomeUnknown):
        adapter.run(WRITE)
    assert len(scripted.asked) == 3, "nothing is tried again below the pipeline"


@pytest.mark.parametrize(
    "content", [{"id": "a"}, ["a"], [1], [None], "text", 1, None, [{"id": "a"}], [{"id": "a", "body": 1, "x": {}}, []]]
)
def test_json_of_another_shape(adapter: SupabaseAdapter, scripted: ScriptedServer, content: Any) -> None:
    scripted.answer = answering(200, content)
    with pytest.raises(Unavailable):
        adapter.run(Get("notes", "a"))


@pytest.mark.parametrize(
    "content", [{"rows": {}}, {}, [], "[]", 1, None, {"rows": [{"body": "x"}], "total": 1}, {"rows": [1]}]
)
def test_groups_of_another_shape(adapter: SupabaseAdapter, scripted: ScriptedServer, content: Any) -> None:
    scripted.answer = answering(200, content)
    with pytest.raises(Unavailable):
        adapter.run(Select("notes", group=("body",)))


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (401, {"message": "Invalid API key"}, CredentialsRefused),
        (401, {"code": "PGRST301", "message": "None of the keys was able to decode the JWT"}, PermissionDenied),
        (404, {"code": "PGRST205", "message": "Could not find the table"}, SchemaMismatch),
        (429, {"message": "API rate limit exceeded"}, Throttled),
        (429, b"slow down", Throttled),
    ],
)
@pytest.mark.parametrize("operation", [READ, WRITE], ids=["reading", "writing"])
def test_refusals(
    adapter: SupabaseAdapter,
    scripted: ScriptedServer,
    operation: Select | Call,
    status: int,
    content: Any,
    kind: type[DataError],
) -> None:
    scripted.answer = answering(status, content)
    with pytest.raises(kind) as refused:
        adapter.run(operation)
    assert type(refused.value) is kind
    assert SECRET not in str(refused.value)


def test_throttling_says_for_how_long(adapter: SupabaseAdapter, scripted: ScriptedServer) -> None:
    for value, least, most in (("3", 3, 3), (format_datetime(utc_now() + timedelta(minutes=1), usegmt=True), 50, 60)):
        scripted.answer = answering(429, b"", Retry_After=value)
        with pytest.raises(Throttled) as throttled:
            adapter.run(READ)
        assert throttled.value.retry_after is not None
        assert least <= throttled.value.retry_after <= most


def test_compressed_answers_are_read(adapter: SupabaseAdapter, scripted: ScriptedServer) -> None:
    scripted.answer = answering(200, gzip.compress(json.dumps([NOTE]).encode()), Content_Encoding="gzip")
    assert adapter.run(READ).rows == [NOTE]


@pytest.mark.parametrize("value", [[], {}, "", "text", 0, 1.5, True, None, [{"id": "a"}], 2**63 - 1])
def test_functions_return_any_json(adapter: SupabaseAdapter, scripted: ScriptedServer, value: Any) -> None:
    scripted.answer = answering(200, value)
    assert adapter.run(WRITE).value == value


def test_functions_may_return_nothing(adapter: SupabaseAdapter, scripted: ScriptedServer) -> None:
    scripted.answer = lambda _: [b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"]
    assert adapter.run(WRITE).value is None


def test_nothing_of_an_answer_is_sent_with_the_next_request(adapter: SupabaseAdapter, scripted: ScriptedServer) -> None:
    scripted.answer = answering(200, [NOTE], Set_Cookie="__cf_bm=one; Path=/", Content_Type="application/json")
    adapter.run(READ)
    adapter.run(READ)
    assert [asked.headers["cookie"] for asked in scripted.asked] == [None, None]
    assert "HTTP2" not in str(scripted.asked[0].headers.items()).upper()


@pytest.mark.parametrize("answer", [b"null", b'"1"', b"[]", b'["1", "2"]', b"{}"])
def test_other_numbers_than_were_asked_for_are_no_keys(
    adapter: SupabaseAdapter, scripted: ScriptedServer, answer: bytes
) -> None:
    scripted.answer = answering(200, answer)
    with pytest.raises(Unavailable, match="something else than 1 numbers"):
        adapter.run(Insert("orders", [{"name": "x"}]))

"""A project of ten tables with every kind of column, key and policy, which was there before it was adopted.

Two users read and write it under its own policies, through its database and over HTTP. Then it moves to SQLite, to
Convex, and back into an empty database.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from typing import Final
from urllib.parse import quote
from uuid import uuid4

import jwt
import pytest
import sqlalchemy as sa

from auth.bridge import AuthBridge
from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.postgres import PostgresAdapter
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import PermissionDenied
from database.core.operations import Insert
from database.core.operations import Select
from database.core.result import Row
from database.core.tables.schema import Schema
from database.extension import Isthmus
from database.schema import adoption
from database.schema.migrations import runner
from database.sync import SyncManager
from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import fingerprint
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import of_table
from tests.integration.adoption.conftest import on_postgres
from tests.integration.adoption.conftest import rows
from tests.integration.adoption.conftest import started
from tests.integration.http.support import Site
from tests.integration.http.support import bearer
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import JWT_SECRET
from tests.servers.supabase_api import SupabaseApi

ADA: Final = "0198c5d2-0000-7000-8000-00000000000a"
BOB: Final = "0198c5d2-0000-7000-8000-00000000000b"
VISIT: Final = "0198c5d2-0000-7000-8000-0000000000f1"
TEA: Final = "0198c5d2-0000-7000-8000-0000000000f2"
IMAGE: Final = bytes(range(256))
MOMENT: Final = datetime(2024, 2, 29, 10, 0, 0, 1, UTC)

THERE: Final = f"""
insert into auth.users (id) values ('{ADA}'), ('{BOB}');
insert into profiles (id, name, born) values ('{ADA}', 'Ada', '1815-12-10'), ('{BOB}', 'Bob', null);
insert into wards (code, floors, aliases, rates, closed, opened, settings) values
    ('north/1, new', '{{1,2}}', array['N', '', 'NULL', 'a"b'], '{{12.5000,0.0001}}', '{{2024-02-29}}',
     '1999-12-31T23:59:59.999999Z', '{{"beds": 9007199254740991, "half": 0.5}}'),
    ('south', '{{0}}', null, null, null, '2024-01-01T00:00:00Z', '{{}}');
insert into hours values
    ('north/1, new', 1, '08:00', '17:30:00.5', '01:15:00'), ('north/1, new', 7, '10:00', '12:00', null);
insert into stays (patient, ward, nights) values ('{ADA}', 'south', 3);
"""
RECORDS: Final[dict[str, Row]] = {
    "treatments": {
        "treatment_id": TEA, "title": "Tea", "fee": Decimal("12.30"), "minutes": -(2**15), "barcode": 2**63 - 1,
        "dose": 0.1,
    },
    "visits": {
        "id": VISIT, "patient": ADA, "ward": "north/1, new", "state": "Seen", "states": ["cancelled", "booked"],
        "starts": MOMENT, "lasts": timedelta(days=1, hours=2, microseconds=1), "day": date(2024, 2, 29),
        "reminder": time(9, 30, 0, 1),
    },
    "Visit Notes": {"visitId": VISIT, "Line No": -3, "order": "a/b,c", "Body Text": "fine"},
    "scans": {"scan_id": "a/b~1", "patient": ADA, "image": IMAGE, "meta": {"a": [1.5, None]}, "taken": MOMENT},
    "invoices": {
        "number": 7, "patient": ADA, "total": Decimal("12345678901234.5678"), "due": date.min, "reference": "x",
    },
    "letters": {"id": "l", "patient": ADA, "body": "Dear"},
}  # fmt: skip
"""What Ada writes."""

MADE: Final[dict[str, Row]] = {
    "treatments": {"part_of": None, "tax": Decimal("0.1900"), "units": 1, "gross": Decimal("14.6370")},
    "visits": {},
    "Visit Notes": {"100%": True},
    "scans": {"digest": sha256(IMAGE).digest()},
    "invoices": {"reference": "X-7"},
    "letters": {"version": 1},
}
"""What the database makes of it: by defaults, by what it computes, by triggers."""

SEEN_BY_ALL: Final = {"treatments", "wards", "hours"}
WRITTEN: Final[dict[type, Any]] = {
    Decimal: str,
    bytes: lambda value: b64encode(value).decode(),
    timedelta: lambda _: "P1DT2H0.000001S",
    datetime: lambda value: value.isoformat(),
    date: date.isoformat,
    time: time.isoformat,
}
"""How a client writes values in JSON."""


def _asking(site: Site, subject: str) -> Identity:
    token = Isthmus.of(site.app)[AuthBridge].generate_token(subject)
    return Identity(subject, "authenticated", jwt.decode(token, options={"verify_signature": False}), token)


def _body(record: Row) -> Row:
    return {name: WRITTEN.get(type(value), lambda given: given)(value) for name, value in record.items()}


@pytest.fixture
def clinic(supabase: PostgresDatabase) -> PostgresDatabase:
    load(supabase, "supabase_auth", "clinic")
    supabase.execute(THERE)
    return supabase


@pytest.fixture(params=["database", "http"])
def site(request: pytest.FixtureRequest, clinic: PostgresDatabase, project: MakeProject) -> Iterator[Site]:
    """The application on the project; nothing of the tables is changed by it."""
    signing = {"JWT_ALGORITHM": "HS256", "JWT_SECRET": JWT_SECRET}
    made = project(**on_postgres(clinic), **signing)
    made.adopt("--read", "user", "--write", "user", "--delete", "user")
    tables = ["profiles", "wards", "hours", "stays", *RECORDS]
    before = fingerprint(clinic), [of_table(clinic, f'"{table}"') for table in tables]
    with ExitStack() as parts:
        if request.param == "http":
            script = made.run("supabase-sql")
            assert script.exit_code == 0, script.output
            api = parts.enter_context(available(SupabaseApi, clinic))
            clinic.execute(script.output)
            api.reload()
            keys = {"SUPABASE_KEY": api.service_key, "SUPABASE_ANON_KEY": api.anon_key}
            made.settings = {"DB_ADAPTER_ORDER": "supabase", "SUPABASE_URL": api.url, **keys, **signing}
        site = started(made)
        yield site
        site.close()
    after = fingerprint(clinic), [of_table(clinic, f'"{table}"') for table in tables]
    assert after[1] == before[1]
    assert request.param == "http" or after == before


def test_two_users_over_http(site: Site, clinic: PostgresDatabase) -> None:
    ada, bob = (bearer(_asking(site, subject).token or "") for subject in (ADA, BOB))
    for table, record in RECORDS.items():
        made = site.post(f"/api/{quote(table)}", _body(record), ada)
        assert made.status_code == 201, made.text
        place = made.headers["Location"]
        found = site.get(place, ada)
        assert found.status_code == 200, found.text
        assert (found.status_code, found.data, found.headers["ETag"]) == (200, made.data, made.headers["ETag"])
        assert site.get(place, {**ada, "If-None-Match": made.headers["ETag"]}).status_code == 304
        assert site.get(place, bob).status_code == (200 if table in SEEN_BY_ALL else 404)
        assert [row == made.json for row in rows(site.get(f"/api/{quote(table)}", ada))] == [True]
        assert len(rows(site.get(f"/api/{quote(table)}", bob))) == (table in SEEN_BY_ALL)
        assert site.get(place).status_code == 401
    assert '"total":12345678901234.5678' in site.get("/api/invoices/7", ada).text
    assert '"gross":14.6370' in site.get(f"/api/treatments/{TEA}", ada).text
    # Others' rows cannot be made, changed, replaced or deleted, and who has no policy for it changes nothing.
    for table in ("visits", "invoices", "letters", "stays", "scans"):
        other = {"id": "0198c5d2-0000-7000-8000-0000000000f8", "scan_id": "s", "number": 8, "ward": "south"}
        record = RECORDS.get(table, {"stay_no": 9, "patient": ADA, "ward": "", "nights": 1})
        record = record | {name: value for name, value in other.items() if name in record}
        assert site.post(f"/api/{table}", _body(record), bob).status_code == 403, table
    for place, change in (
        (f"visits/{VISIT}", {"state": "cancelled"}),
        ("invoices/7", {"due": None}),
        ("scans/a~1b~01", {"meta": 1}),
        ("letters/l", {"body": "Sir"}),
        (f"Visit%20Notes/{VISIT},-3", {"order": None}),
        (f"profiles/{ADA}", {"name": "Eve"}),
    ):
        assert site.call("PATCH", f"/api/{place}", change, bob).status_code == 404, place
        assert site.call("DELETE", f"/api/{place}", headers=bob).status_code == 404, place
    for place, column in (("wards/south", "aliases"), ("hours/north~11~2 new,1", "break")):
        assert site.call("PATCH", f"/api/{quote(place)}", {column: None}, ada).status_code in {403, 404}, place
        assert site.get(f"/api/{quote(place)}", ada).status_code == 200, place
    changed = site.call("PATCH", f"/api/treatments/{TEA}", {"fee": "99.99"}, bob)
    assert changed.status_code == 200, changed.text
    assert '"gross":118.9881' in changed.text
    assert site.call("PATCH", f"/api/treatments/{TEA}", {"fee": "-1.00"}, bob).status_code == 422
    replaced = site.call("PUT", f"/api/treatments/{TEA}", {"title": "Cake", "fee": "5.00"}, ada)
    assert (replaced.status_code, replaced.json["units"], replaced.json["barcode"]) == (200, 1, None)
    assert '"gross":5.9500' in replaced.text
    replaced = site.call("PUT", "/api/scans/a~1b~01", {"patient": ADA, "image": "AA=="}, ada)
    assert replaced.json["digest"] == b64encode(sha256(b"\0").digest()).decode()
    # An edit by another program is noticed.
    tag = site.get("/api/letters/l", ada).headers["ETag"]
    clinic.execute("update letters set body = 'Sir', version = version + 1")
    assert site.call("PATCH", "/api/letters/l", {"body": "Madam"}, {**ada, "If-Match": tag}).status_code == 412
    assert site.call("DELETE", f"/api/visits/{VISIT}", headers=ada).status_code == 204
    assert rows(site.get("/api/Visit%20Notes", ada)) == []


@pytest.mark.parametrize("site", ["http"], indirect=True)
def test_a_replay_is_what_was_stored(site: Site) -> None:
    ada = bearer(_asking(site, ADA).token or "")
    for number, (table, body) in enumerate(
        (
            ("scans", _body(RECORDS["scans"])),
            ("invoices", [_body(RECORDS["invoices"] | {"number": n}) for n in (1, 2)]),
            ("treatments", _body(RECORDS["treatments"])),
        )
    ):
        once = {**ada, "Idempotency-Key": f"k{number}"}
        first, again = (site.post(f"/api/{table}", body, once) for _ in range(2))
        assert first.status_code == 201, first.text
        assert again.headers["Idempotency-Replayed"] == "true"
        assert (again.data, again.headers.get("ETag")) == (first.data, first.headers.get("ETag"))
        stored = rows(site.get(f"/api/{table}", ada))
        assert stored == (first.json["data"] if isinstance(body, list) else [first.json])
    assert [row["reference"] for row in rows(site.get("/api/invoices", ada))] == ["X-1", "X-2"]


def test_two_users_in_python(site: Site) -> None:
    manager, ada, bob = site.manager, _asking(site, ADA), _asking(site, BOB)
    for table, record in RECORDS.items():
        key = next(iter(record))
        with acting_as(ada):
            (made,) = manager.table(table).insert(record).execute().rows
            assert (record | MADE[table]).items() <= made.items()
            assert manager.table(table).execute().rows == [made]
            for name, value in (record | MADE[table]).items():
                if value is not None and not isinstance(value, dict):
                    assert manager.table(table).eq(name, value).execute().rows == [made], name
        with acting_as(bob):
            assert manager.table(table).execute().rows == ([made] if table in SEEN_BY_ALL else [])
            # Over HTTP, what is seen and may not be deleted is refused.
            with suppress(PermissionDenied):
                assert manager.table(table).delete().eq(key, made[key]).execute().rows == []
        with acting_as(ada):
            assert manager.table(table).execute().rows == [made]
        names = ", ".join(f'"{name}"' for name in made)
        # Callers' SQL text has plain names only.
        plain = all(name.isidentifier() for name in (table, *made))
        with acting_as(ada) if plain else as_application():
            text = f'select {names} from "{table}" where "{key}" = :key'
            assert manager.execute_query(text, {"key": made[key]}) == [made]
    with acting_as(bob):
        assert manager.execute_query("select number from invoices") == []
        assert manager.execute_query("update letters set body = 'mine' where id = :id", {"id": "l"}) == 0
        with pytest.raises(PermissionDenied):
            manager.run(Insert("letters", [{"id": "m", "patient": ADA}]))
    with acting_as(ada):
        assert [row["body"] for row in manager.table("letters").execute()] == ["Dear"]
        found = manager.table("visits").select("id, wards(code), Visit Notes(*)").execute().rows
        assert (found[0]["wards"], found[0]["Visit Notes"][0]["Line No"]) == ({"code": "north/1, new"}, -3)


NOT_ON_CONVEX: Final = "Visit Notes"
"""Convex allows no blanks in names."""


@pytest.fixture
def convex(tmp_path: Path) -> Iterator[Any]:
    """Make a deployment with these tables."""
    with ExitStack() as parts:

        def make(schema: Schema) -> ConvexAdapter:
            folder = tmp_path / uuid4().hex
            folder.mkdir()
            deployment = parts.enter_context(available(ConvexDeployment, functions_with(schema, folder)))
            adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key}, schema)
            parts.callback(adapter.disconnect)
            return adapter

        yield make


def test_it_moves_and_comes_back(
    clinic: PostgresDatabase, project: MakeProject, tmp_path: Path, convex: Any, postgres_server: PostgresServer
) -> None:
    made = project(**on_postgres(clinic))
    made.settings |= {"DB_ADAPTER_ORDER": "supabase,local", "LOCAL_DB_PATH": tmp_path / "copy.db"}
    made.adopt("--read", "user")
    for command in (["upgrade"], ["install", "tables"], ["install", "changes"]):
        done = made.run(*command)
        assert done.exit_code == 0, done.output
    site = made.site()
    first, local = (site.manager.adapters[name] for name in ("supabase", "local"))
    tables = ["profiles", "wards", "hours", "stays", *RECORDS]
    empty = postgres_server.create_database()
    last = PostgresAdapter(asdict(empty), first.schema, name="last")
    with as_application():
        for table, record in RECORDS.items():
            first.run(Insert(table, [record]))
        _sync(first, local, tables)
        # What was changed in the copy, the first database accepts, and computes and stamps anew.
        local.table("treatments").update({"fee": Decimal("0.01")}).eq("title", "Tea").execute()
        local.table("scans").update({"image": b""}).eq("scan_id", "a/b~1").execute()
        local.table("hours").insert({"ward": "south", "weekday": 3, "opens": time(1), "closes": time(2)}).execute()
        _sync(first, local, tables)
        (treatment,) = first.table("treatments").execute().rows
        assert (treatment["fee"], treatment["gross"]) == (Decimal("0.01"), Decimal("0.0119"))
        with pytest.raises(ValueError, match="Convex does not allow the name of table 'Visit Notes'"):
            convex(first.schema)
        named = sa.MetaData()
        for declared in first.schema.metadata.sorted_tables:
            if declared.name != NOT_ON_CONVEX:
                declared.to_metadata(named)
        deployed = convex(Schema.of(named, internal_tables.metadata))
        _sync(local, deployed, [table for table in tables if table != NOT_ON_CONVEX])
        runner.upgrade(last)
        adoption.installing.install_tables(last)
        adoption.installing.install_changes(last)
        _sync(deployed, last, [table for table in tables if table != NOT_ON_CONVEX])
        _sync(local, last, tables)
        assert _contents(last, tables) == _contents(first, tables)
    last.disconnect()
    site.close()
    postgres_server.drop_database(empty)


def _sync(first: DatabaseAdapter, second: DatabaseAdapter, tables: list[str]) -> None:
    """Make two databases equal; what the first one computes of the second one's rows arrives with the next cycle."""
    manager = SyncManager(first, second, sync_tables=tables, sync_numbers="first")
    for _ in range(2):
        assert manager.sync_all(), manager.get_sync_status()
        assert manager.get_sync_status()["failures"] == []
    assert _contents(first, tables) == _contents(second, tables)
    assert all(_contents(second, tables).values())


def _contents(adapter: DatabaseAdapter, tables: list[str]) -> dict[str, list[Row]]:
    return {table: adapter.run(Select(table)).rows for table in tables}

"""Tables of schemas that are not on the search path."""

from __future__ import annotations

from pathlib import Path

import pytest

from database.backends.supabase import SupabaseAdapter
from database.core.context import as_application
from database.core.errors import SchemaMismatch
from database.core.errors import Unsupported
from database.core.operations import Insert
from database.core.operations import Select
from database.declared import schema_in
from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import Project
from tests.integration.adoption.conftest import blocks
from tests.integration.adoption.conftest import fingerprint
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import on_postgres
from tests.integration.adoption.conftest import rows
from tests.integration.adoption.conftest import started
from tests.servers.postgres import PostgresDatabase

RULES = ("--read", "anyone", "--write", "anyone", "--delete", "anyone")
SCHEMAS = ("--schema", "app", "--schema", "Old Shop")


@pytest.fixture
def shop(supabase: PostgresDatabase, project: MakeProject) -> Project:
    load(supabase, "other_schemas")
    return project(**on_postgres(supabase))


def test_they_are_adopted_if_asked_for(shop: Project) -> None:
    output = shop.adopt("--dry-run")
    assert "app" not in output
    first = shop.run("adopt").output
    assert "schema app was not read (3 tables), because it is not on the search path; to adopt its tables, use" in first
    assert "`--schema app`" in first
    shop.file.unlink()
    report = blocks(shop.adopt(*SCHEMAS))
    assert {name: lines[0] for name, lines in report.items()} == {
        "customers": "usable",
        "app.customers": "left out",
        "app.orders": "usable",
        "app.lines": "usable",
        "Old Shop.Order Book": "usable",
    }
    assert "customers has the same name" in report["app.customers"][1]
    unknown = shop.run("adopt", "--schema", "nothing")
    assert "the database has no schema 'nothing'" in unknown.stderr


def test_they_are_served(shop: Project, supabase: PostgresDatabase) -> None:
    shop.adopt(*SCHEMAS, *RULES)
    before = fingerprint(supabase)
    site = started(shop)
    made = site.post("/api/orders", {"customer_id": 1, "note": "by post", "states": ["paid"]})
    assert made.status_code == 201, made.text
    assert (made.json["state"], made.json["states"], made.json["note"]) == ("open", ["paid"], "BY POST")
    lines = [{"order_id": 1, "number": number, "amount": "1.50"} for number in range(1, 40)]
    assert site.post("/api/lines", lines).status_code == 201
    related = site.get("/api/orders/1?select=note,customers(name)").json
    assert related == {"note": "BY POST", "customers": {"name": "Ada"}}
    assert site.call("PATCH", "/api/lines/1,2", {"amount": "2.25"}).json["amount"] == 2.25
    assert [row["number"] for row in rows(site.get("/api/lines?amount=gt.2"))] == [2]
    assert [row["id"] for row in rows(site.get("/api/orders?state=in.(open,nope)&order=state"))] == [1]
    assert site.call("PATCH", "/api/orders/1", {"state": "paid"}).json["state"] == "paid"
    book = site.post("/api/Order%20Book", {"id": "a", "order": 3})
    assert (book.status_code, book.headers["Location"]) == (201, "/api/Order%20Book/a")
    with as_application():
        assert site.manager.table("lines").select("*, orders(note)").eq("number", 3).execute().rows[0]["orders"] == {
            "note": "BY POST"
        }
        with pytest.raises(SchemaMismatch, match="flask db install changes orders"):
            site.manager.table("orders").subscribe(print)
    assert site.get("/readyz").json["status"] == "ready"
    site.close()
    assert fingerprint(supabase) == before
    assert shop.run("adopt", *SCHEMAS).output.endswith("adopted.py is as the database is.\n")


def test_what_is_installed_does_not_reach_them(shop: Project, supabase: PostgresDatabase) -> None:
    shop.adopt(*SCHEMAS, *RULES)
    assert shop.run("upgrade").exit_code == 0
    for what in ("changes", "policies"):
        refused = shop.run("install", what, "orders")
        assert "table 'orders' is in the schema app, which is not on the search path" in refused.stderr
    assert shop.run("install", "changes").output == "supabase: the change log has the changes of customers\n"
    assert shop.run("check").output == "supabase: as declared\n"


def test_a_copy_on_sqlite_has_no_schemas(shop: Project, tmp_path: Path) -> None:
    shop.settings |= {"DB_ADAPTER_ORDER": "supabase,local", "LOCAL_DB_PATH": tmp_path / "copy.db"}
    shop.adopt(*SCHEMAS, *RULES)
    done = shop.run("install", "tables")
    assert done.exit_code == 0, done.exception
    assert done.output == ("supabase: nothing to install\nlocal: created Order Book, customers, orders, lines\n")
    site = shop.site()
    with as_application():
        local = site.manager.adapters["local"]
        local.run(Insert("orders", [{"id": 1, "state": "open", "placed": "2024-02-29T12:30:00"}]))
        local.run(Insert("lines", [{"order_id": 1, "number": 1, "amount": 1}]))
        assert [row["order_id"] for row in local.run(Select("lines")).rows] == [1]
    site.close()


def test_over_http_they_are_refused(shop: Project) -> None:
    shop.adopt(*SCHEMAS, *RULES)
    key = "sb_secret_" + "x" * 30
    adapter = SupabaseAdapter({"url": "http://127.0.0.1:9", "key": key}, schema_in(shop.package))
    with as_application():
        for operation in (Select("orders"), Insert("orders", [{"id": 1}])):
            with pytest.raises(Unsupported, match=r"table 'orders' is in the schema app; .* set SUPABASE_DB_HOST"):
                adapter.run(operation)
    adapter.disconnect()

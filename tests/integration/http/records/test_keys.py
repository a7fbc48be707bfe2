"""Records with other keys than an id, and without versions: their addresses and entity tags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa

from database.schema.migrations import row_security
from tests.integration.http.keyed.tables import metadata
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.servers.supabase_api import add_roles

CASES = {
    "elements": ({"symbol": "Fe,~/ 2~1"}, "Fe,~0~1 2~01"),
    "lots": ({"number": -(2**63)}, "-9223372036854775808"),
    "devices": ({"device_id": "01890000-0000-7000-8000-00000000000a"}, "01890000-0000-7000-8000-00000000000a"),
    "grades": ({"course": "a/b,c~", "attempt": 3}, "a~1b~2c~0,3"),
}
keyed = pytest.mark.parametrize(
    ("table", "key", "address"), [(table, *case) for table, case in CASES.items()], ids=CASES
)
PACKAGE = "tests.integration.http.keyed"


@pytest.fixture(params=["sqlite", "supabase"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An application with such tables, on SQLite and on a Supabase project's database."""
    settings, url, database = {}, f"sqlite:///{tmp_path / 'isthmus.db'}", None
    if request.param == "supabase":
        database = request.getfixturevalue("postgres_database")
        add_roles(database)
        settings, url = supabase_settings(database), database.sqlalchemy_url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    metadata.create_all(engine)
    engine.dispose()
    if database is not None:
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            for table in metadata.sorted_tables:
                for statement in row_security.table_statements(table):
                    connection.execute(statement.encode())
    site = make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE, **settings)
    yield site
    site.close()


def _path(table: str, address: str) -> str:
    return f"/api/{table}/{quote(address, safe='')}"


@keyed
def test_a_record_is_made_read_changed_and_deleted_at_its_address(
    site: Site, table: str, key: dict[str, Any], address: str
) -> None:
    made = site.post(f"/api/{table}", {**key, "name": "one", "data": {"a": 1.0}})
    assert made.status_code == 201, made.text
    path = made.headers["Location"]
    found = site.get(path)
    assert found.status_code == 200, found.text
    assert site.get(_path(table, address)).json == found.json
    assert found.headers["ETag"] == made.headers["ETag"]
    assert {name: found.json[name] for name in key} == key
    assert site.get(f"/api/{table}").json["data"] == [found.json]
    changed = site.call("PATCH", path, {"name": "two"}, {"If-Match": found.headers["ETag"]})
    assert (changed.status_code, changed.json["name"]) == (200, "two")
    assert changed.headers["ETag"] != found.headers["ETag"]
    put = site.call("PUT", path, {"name": "three"}, {"If-Match": changed.headers["ETag"]})
    assert (put.status_code, put.json["name"], put.json["data"]) == (200, "three", None)
    assert site.call("PUT", path, {**key, "name": "three"}).status_code == 200
    assert site.call("DELETE", path, headers={"If-Match": site.get(path).headers["ETag"]}).status_code == 204
    assert_problem(site.get(path), 404)
    assert site.call("PUT", path, {"name": "again"}).status_code == 201
    assert site.get(path).json["name"] == "again"


@keyed
def test_no_change_is_lost_of_a_record_that_somebody_else_has_changed(
    site: Site, table: str, key: dict[str, Any], address: str
) -> None:
    tag = site.post(f"/api/{table}", {**key, "name": "one", "data": [1]}).headers["ETag"]
    path = _path(table, address)
    assert site.get(path, {"If-None-Match": tag}).status_code == 304
    assert site.get(f"{path}?select=name", {"If-None-Match": tag}).status_code == 304
    assert site.call("PATCH", path, {"data": [2]}).status_code == 200
    for method, body in (("PATCH", {"name": "x"}), ("PUT", {"name": "x"}), ("DELETE", None)):
        assert_problem(site.call(method, path, body, {"If-Match": tag}), 412)
    found = site.get(f"{path}?select=name", {"If-None-Match": tag})
    assert (found.status_code, found.json) == (200, {"name": "one"})
    assert_problem(site.call("PUT", path, {"name": "x"}, {"If-None-Match": "*"}), 412)
    assert site.get(path).json["data"] == [2]
    assert site.call("DELETE", path, headers={"If-Match": found.headers["ETag"]}).status_code == 204


@pytest.mark.parametrize(
    "path", ["lots/x", "lots/01", "lots/1,2", "devices/x", "grades/a", "grades/a,b", "grades/~7,1"]
)
def test_no_record_is_where_no_key_is(site: Site, path: str) -> None:
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert_problem(site.call(method, f"/api/{path}", body), 404)
    answer = site.call("PUT", f"/api/{path}", {"name": "x"})
    assert answer.status_code in {400, 422}, answer.text


@keyed
def test_the_key_in_a_body_is_that_of_the_address(site: Site, table: str, key: dict[str, Any], address: str) -> None:
    other = dict.fromkeys(key, 4 if table == "lots" else "01890000-0000-7000-8000-00000000000b")
    assert_problem(site.call("PUT", _path(table, address), {**other, "name": "x"}), 422)
    assert site.call("PUT", _path(table, address), {**key, "name": "x"}).status_code == 201
    assert_problem(site.call("PATCH", _path(table, address), {**key, "name": "y"}), 422)


def test_pages_go_on_behind_a_key_of_several_columns(site: Site) -> None:
    rows = [{"course": course, "attempt": n} for course in ("a", "b,") for n in (2, 10, -1)]
    assert site.post("/api/grades", rows).status_code == 201
    seen: list[tuple[str, int]] = []
    query = "limit=2&order=attempt.desc"
    while query:
        page = site.get(f"/api/grades?{query}").json
        seen += [(row["course"], row["attempt"]) for row in page["data"]]
        cursor = page["next_cursor"]
        query = cursor and f"limit=2&order=attempt.desc&cursor={cursor}"
    assert seen == [("a", 10), ("b,", 10), ("a", 2), ("b,", 2), ("a", -1), ("b,", -1)]


def test_the_database_numbers_records_that_are_made_without_a_key(site: Site) -> None:
    made = [site.post("/api/orders", {"name": name}) for name in "ab"]
    numbers = [answer.json["order_no"] for answer in made]
    assert numbers[0] < numbers[1]
    assert [answer.headers["Location"] for answer in made] == [f"/api/orders/{number}" for number in numbers]
    assert site.get(made[0].headers["Location"]).headers["ETag"] == made[0].headers["ETag"]
    assert site.call("PATCH", f"/api/orders/{numbers[1]}", {"name": "c"}).json == {"order_no": numbers[1], "name": "c"}

"""Every table with a primary key is served, with all its columns of the types that the data layer has, and written."""

from __future__ import annotations

from typing import Any
from typing import Final
from urllib.parse import quote
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from database.core.context import as_application
from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import blocks
from tests.integration.adoption.conftest import caller
from tests.integration.adoption.conftest import fingerprint
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import on_postgres
from tests.integration.adoption.conftest import rows
from tests.integration.adoption.conftest import started
from tests.integration.http.support import Site
from tests.servers.postgres import PostgresDatabase

UPDATED: Final = {"last_update": "2024-02-29T12:30:00.000001Z"}
CHANGED: Final = {"last_update": "2024-02-29T12:30:00.000001"}
WHO: Final = "0190d3ce-0000-7000-8000-000000000001"

ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "chinook": {
        "artist": {"name": "AC/DC"},
        "genre": {"name": "Rock"},
        "media_type": {"name": "MPEG audio file"},
        "playlist": {"name": "Music"},
        "album": {"title": "Let There Be Rock", "artist_id": 1},
        "employee": {
            "last_name": "Adams", "first_name": "Andrew", "title": "Manager", "reports_to": None,
            "birth_date": "1962-02-18", "hire_date": "2002-08-14T00:00:00.000000", "email": "andrew@chinook",
        },
        "customer": {
            "first_name": "Luís", "last_name": "Gonçalves", "company": None, "email": "l@x", "support_rep_id": 1,
        },
        "track": {
            "name": "Go Down", "album_id": 1, "media_type_id": 1, "genre_id": 1, "composer": None,
            "milliseconds": 331180, "bytes": 10847611, "unit_price": 0.99,
        },
        "playlist_track": {"playlist_id": 1, "track_id": 1},
        "invoice": {
            "customer_id": 1, "invoice_date": "2009-01-01T00:00:00.000000", "billing_country": "Brazil", "total": 1.98,
        },
        "invoice_line": {"invoice_id": 1, "track_id": 1, "unit_price": 0.99, "quantity": 2},
    },
    "pagila": {
        "actor": {"first_name": "Ed", "last_name": "Chase", **UPDATED},
        "category": {"name": "Action", **CHANGED},
        "language": {"name": "English", **CHANGED},
        "country": {"country": "Brazil", **UPDATED},
        "city": {"city": "Abaeté", "country_id": 1, **UPDATED},
        "address": {
            "address": "47 MySakila Drive", "address2": None, "district": "Alberta", "city_id": 1, "postal_code": "",
            **UPDATED,
        },
        "film": {
            "title": "Academy Dinosaur", "description": "An epic drama", "release_year": 2006, "language_id": 1,
            "original_language_id": 1, "rental_duration": 6, "rental_rate": 0.99, "length": 86,
            "replacement_cost": 20.99, "rating": "PG-13", "special_features": ["Deleted Scenes", "Trailers"], **UPDATED,
        },
        "film_actor": {"actor_id": 1, "film_id": 1, **UPDATED},
        "film_category": {"film_id": 1, "category_id": 1, **UPDATED},
        "staff": {
            "first_name": "Mike", "address_id": 1, "email": "mike@sakila", "store_id": 1, "picture": "iVBORw0=",
            "active": True, **UPDATED,
        },
        "store": {"manager_staff_id": 1, **UPDATED},
        "customer": {
            "store_id": 1, "first_name": "Mary", "email": "mary@sakila", "activebool": True,
            "create_date": "2022-02-14", "active": 1, **CHANGED,
        },
        "inventory": {"film_id": 1, "store_id": 1, **UPDATED},
        "rental": {
            "rental_date": "2022-05-24T22:53:30.000000", "inventory_id": 1, "customer_id": 1, "return_date": None,
            "staff_id": 1, **CHANGED,
        },
        "payment": {
            "staff_id": 1, "rental_id": 1, "amount": 2.99, "payment_date": "2022-01-29T01:58:52.222594Z",
        },
    },
}  # fmt: skip
LEFT_OUT: Final = {"film": {"fulltext"}}
"""The columns that are not served: those of types that the data layer does not have."""

OTHER_KEYS: Final = {"payment": "payment_id"}
"""The tables whose primary key has a column that no key can have, here the time by which it is partitioned."""

PREPARED: Final = {
    "chinook": "",
    # The store and its manager refer to each other.
    "pagila": "truncate actor restart identity cascade; alter table staff drop constraint staff_store_id_fkey;",
}
GRANTS: Final = (
    "grant all on all tables in schema public to authenticated, anon;"
    "grant all on all sequences in schema public to authenticated, anon;"
)


@pytest.mark.parametrize("name", ROWS)
def test_every_table_is_served_with_all_its_columns(
    supabase: PostgresDatabase, project: MakeProject, name: str
) -> None:
    load(supabase, name)
    supabase.execute(PREPARED[name] + GRANTS)
    before = fingerprint(supabase)
    made = project(**on_postgres(supabase))
    keys = [f"--key={table}={key}" for table, key in OTHER_KEYS.items() if table in ROWS[name]]
    report = blocks(made.adopt(*keys, *(f"--{action}=anyone" for action in ("read", "write", "delete"))))
    columns = _columns(supabase)
    assert ROWS[name].keys() == columns.keys()
    site = started(made)
    for table, row in ROWS[name].items():
        served = columns[table] - LEFT_OUT.get(table, set())
        assert _without(report[table]) == columns[table] - served
        _assert_written(site, table, row, served)
        _assert_read(site, table, row, _stored(supabase, table, served))
    site.close()
    assert fingerprint(supabase) == before


def _without(report: list[str]) -> set[str]:
    """The columns of a usable table that are left out."""
    assert report[0].startswith("usable")
    return {line.split("'")[1] for line in report if line.startswith("without column")}


def _columns(database: PostgresDatabase) -> dict[str, set[str]]:
    """The columns of each table with a primary key, without partitions."""
    text = (
        "select relname, attname from pg_class join pg_attribute on attrelid = pg_class.oid join pg_index on indrelid"
        " = pg_class.oid where relnamespace = 'public'::regnamespace and indisprimary and not relispartition"
        " and attnum > 0 and relkind in ('r', 'p')"
    )
    found: dict[str, set[str]] = {}
    with psycopg.connect(database.dsn) as connection:
        for table, column in connection.execute(text):
            found.setdefault(table, set()).add(column)
    return found


def _stored(database: PostgresDatabase, table: str, columns: set[str]) -> dict[str, Any]:
    """The only row of a table as another program sees it."""
    with psycopg.connect(database.dsn, row_factory=dict_row) as connection:
        connection.execute("set time zone 'UTC'")
        (row,) = connection.execute(f'select * from "{table}"'.encode()).fetchall()
    return {name: _plain(value) for name, value in row.items() if name in columns}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value.rstrip(" ") if isinstance(value, str) else value


def _assert_written(site: Site, table: str, row: dict[str, Any], served: set[str]) -> None:
    created = site.post(f"/api/{table}", row)
    assert (created.status_code, created.json.keys()) == (201, served), created.text
    assert row.items() <= created.json.items()
    where = created.headers["Location"]
    assert site.get(where).json == created.json
    values = {name: value for name, value in row.items() if name not in site.manager.schema.table(table).key}
    if values:
        changed = site.call("PATCH", where, values)
        assert changed.status_code == 200, changed.text
    again = site.post(f"/api/{table}", row)
    if again.status_code == 201:
        assert site.call("DELETE", again.headers["Location"]).status_code == 204
    else:
        assert again.status_code == 409


def _assert_read(site: Site, table: str, row: dict[str, Any], stored: dict[str, Any]) -> None:
    with as_application():
        assert site.manager.table(table).execute().rows == [stored]
        shown = site.app.json.loads(site.app.json.dumps(stored))
        for name, value in stored.items():
            if value is not None:
                assert site.manager.table(table).eq(name, value).execute().rows == [stored], name
    (found,) = rows(site.get(f"/api/{table}"))
    assert found == shown
    for name in row:
        if (value := found[name]) is not None and not isinstance(value, list):
            written = str(value).lower() if isinstance(value, bool) else value
            assert rows(site.get(f"/api/{table}?{name}=eq.{quote(str(written))}&order={name}")) == [found], name


STARTERS: Final = ("supabase_auth", "supabase_profiles", "supabase_todos", "supabase_slack")
STARTED: Final = f"""
insert into auth.users (id) values ('{WHO}');
insert into profiles values ('{WHO}', '2024-02-29 12:30:00+00', 'ada', 'Ada L.', null, 'https://ada.example');
insert into todos (user_id, task) values ('{WHO}', 'water the plants');
insert into users values ('{WHO}', 'ada', 'ONLINE');
insert into channels (slug, created_by) values ('public', '{WHO}');
insert into messages (message, user_id, channel_id) values ('Hello', '{WHO}', 1);
insert into user_roles (user_id, role) values ('{WHO}', 'moderator');
insert into role_permissions (role, permission) values ('moderator', 'messages.delete');
"""
UNSEEN: Final = {"role_permissions"}
"""The starter gives it no policy that lets users see its rows."""


def test_every_table_of_the_starters_is_served(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, *STARTERS)
    supabase.execute(STARTED)
    before = fingerprint(supabase)
    made = project(**on_postgres(supabase))
    report = blocks(made.adopt("--read", "user", "--write", "user"))
    columns = _columns(supabase)
    site = started(made)
    for table, names in columns.items():
        assert _without(report[table]) == set()
        stored = _stored(supabase, table, names)
        with as_application():
            assert site.manager.table(table).execute().rows == [stored]
        seen = rows(site.get(f"/api/{table}", caller(site, WHO)))
        assert seen == ([] if table in UNSEEN else [site.app.json.loads(site.app.json.dumps(stored))])
    site.close()
    assert len(columns) == 7
    assert fingerprint(supabase) == before

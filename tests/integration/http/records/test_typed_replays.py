"""A repeated request gets the same response, digit for digit, for columns of every type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.http.keyed.tables import metadata
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.servers.supabase_api import add_roles

RECORD: dict[str, Any] = {
    "at": "0198C5D2-0000-7000-8000-00000000000A",
    "price": "12345678901234.5600",
    "day": "2024-02-29",
    "opens": "09:30:00.000001",
    "raw": "AP8=",
    "span": "P1DT0.000001S",
    "mood": "it's",
    "tags": ["a", "", "NULL", 'b"'],
    "prices": [0.10, "1.20"],
    "days": ["0001-01-01", "9999-12-31"],
    "big": 2**63 - 1,
}


@pytest.fixture(params=["sqlite", "supabase"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An application with such a table, on SQLite and on a Supabase project's database."""
    settings, url = {}, f"sqlite:///{tmp_path / 'isthmus.db'}"
    if request.param == "supabase":
        database = request.getfixturevalue("postgres_database")
        add_roles(database)
        settings, url = supabase_settings(database), database.sqlalchemy_url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    metadata.create_all(engine)
    engine.dispose()
    site = make_site(tmp_path, APPLICATION_PACKAGE="tests.integration.http.keyed", DB_AUTO_MIGRATE=True, **settings)
    yield site
    site.close()


def test_the_replay_has_every_digit(site: Site) -> None:
    place = f"/api/measures/{RECORD['at'].lower()}"
    for number, (method, path, body) in enumerate(
        (
            ("POST", "/api/measures", RECORD),
            ("PATCH", place, {"price": 0.1, "tags": [], "span": "PT0S"}),
            ("PUT", place, {"price": "-0.0001", "prices": [], "raw": ""}),
            ("POST", "/api/measures", [{**RECORD, "at": f"0198c5d2-0000-7000-8000-0000000000b{n}"} for n in range(3)]),
            ("DELETE", place, None),
        )
    ):
        headers = {"Idempotency-Key": f"k{number}"}
        first = site.call(method, path, body, headers)
        assert first.status_code < 300, first.text
        stored = site.get("/api/measures").data
        again = site.call(method, path, body, headers)
        assert (again.status_code, again.data, again.headers.get("ETag")) == (
            first.status_code,
            first.data,
            first.headers.get("ETag"),
        )
        assert again.headers["Idempotency-Replayed"] == "true"
        assert site.get("/api/measures").data == stored
        if method == "POST" and isinstance(body, dict):
            assert '"price":12345678901234.5600' in again.text
            assert '"prices":[0.10,1.20]' in again.text
            assert again.json["big"] == 2**63 - 1
            assert again.json["at"] == RECORD["at"].lower()
    assert site.call("POST", "/api/measures", {**RECORD, "price": "1"}, {"Idempotency-Key": "k0"}).status_code == 422

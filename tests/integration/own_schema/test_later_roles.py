"""Supabase's roles, which all databases of a server share, may come with another database later."""

from __future__ import annotations

from pathlib import Path

from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import add_roles


def test_the_next_start_makes_the_access_rules_for_them(tmp_path: Path) -> None:
    with PostgresServer() as server, server.database() as database, server.database() as other:
        settings = {**supabase_settings(database), "DB_ADAPTER_ORDER": "supabase"}
        site = make_site(tmp_path, **settings)
        site.register("ada")
        site.close()
        add_roles(other)
        site = make_site(tmp_path, **settings)
        assert site.register("bob")
        assert site.login("ada")
        assert site.get("/readyz").status_code == 200
        assert site.get("/api/molecules").json["data"] == []
        result = site.app.test_cli_runner().invoke(args=["db", "check"])
        assert result.output == "supabase: as declared\n"
        site.close()

"""The database of the sessions is away: nobody is signed out for that, and the policy says what goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auth.sessions.sessions import TOKENS
from database.core.context import as_application
from tests.integration.http.support import CHEAP
from tests.integration.http.support import IMPATIENT
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import MakeSite
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import making_sites
from tests.integration.http.support import supabase_settings
from tests.integration.http.support import wait_until
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import Fault
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Refuse
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase

ADA = {"email": "ada@example.org", "password": PASSWORD}


@pytest.fixture
def make(postgres_database: PostgresDatabase, between: FaultProxy, tmp_path: Path) -> Iterator[MakeSite]:
    settings = {**supabase_settings(postgres_database.at(between.port)), **IMPATIENT}
    stale = {"SUPABASE_DB_CIRCUIT_BREAKER_THRESHOLD": 0, "AUTH_REVOCATION_MAX_STALE_SECONDS": 0}
    with making_sites(tmp_path, **settings, **stale) as make_site:

        def made(**more: object) -> Site:
            site = make_site(**more).hash_with(CHEAP)
            # It asks no database, so that what it answers is what the policy says.
            site.app.add_url_rule("/echo", "echo", lambda: "here", methods=["GET", "POST"])
            return site

        yield made


def refresh(site: Site, tokens: Any) -> Any:
    return site.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})


@pytest.mark.parametrize("fault", [Refuse, Blackhole])
def test_a_refresh_without_the_database_is_a_503_and_the_token_stays_good(
    make: MakeSite, between: FaultProxy, fault: type[Fault]
) -> None:
    site = make()
    tokens = site.post("/auth/register", ADA).json
    with between.suffering(fault()):
        answer = refresh(site, tokens)
        assert assert_problem(answer, 503)["outcome"] == "not_applied"
        assert int(answer.headers["Retry-After"]) >= 1
        # Another database answers reads, and has never heard of the account.
        assert_problem(site.post("/auth/login", ADA), 503, "unavailable")
        assert_problem(site.get("/auth/me", bearer(tokens["access_token"])), 503, "unavailable")
    wait_until(site.manager.adapters["supabase"].connect, "the database is not found well again")
    assert refresh(site, tokens).status_code == 200


IN_THE_WAY = """
create function in_the_way() returns trigger language plpgsql as
$$ begin raise exception 'another transaction came first' using errcode = 'serialization_failure'; end $$;
create trigger in_the_way before update on isthmus_private.isthmus_refresh_tokens execute function in_the_way()"""


def test_a_refresh_that_others_are_in_the_way_of_until_its_deadline_is_a_503(
    make: MakeSite, postgres_database: PostgresDatabase
) -> None:
    """Not a 409, after which a client would not try again: it has done nothing wrong."""
    site = make(REQUEST_TIMEOUT=1)
    tokens = site.post("/auth/register", ADA).json
    postgres_database.execute(IN_THE_WAY)
    answer = refresh(site, tokens)
    assert assert_problem(answer, 503, "timed-out")["outcome"] == "not_applied"
    assert int(answer.headers["Retry-After"]) >= 1
    postgres_database.execute("drop trigger in_the_way on isthmus_private.isthmus_refresh_tokens")
    assert refresh(site, tokens).status_code == 200


def test_a_refresh_on_a_stand_in_that_does_not_know_the_session_is_a_503(make: MakeSite, between: FaultProxy) -> None:
    tokens = make().post("/auth/register", ADA).json
    between.set(Refuse())
    site = make(DB_FAILBACK_AFTER=60)
    assert site.get("/api/molecules").status_code == 200
    assert site.manager.active_adapter == "local"
    assert_problem(refresh(site, tokens), 503, "unavailable")
    with as_application():
        assert site.manager.adapters["local"].table("isthmus_sessions").execute().rows == []


def test_a_refresh_whose_commit_was_not_confirmed_can_be_repeated(make: MakeSite, between: FaultProxy) -> None:
    site = make()
    tokens = site.post("/auth/register", ADA).json
    with between.suffering(LoseReply(b"commit")):
        assert assert_problem(refresh(site, tokens), 503, "outcome-unknown")["outcome"] == "unknown"
    wait_until(site.manager.adapters["supabase"].connect, "the database is not found well again")
    answer = refresh(site, tokens)
    assert answer.status_code == 200
    assert [row["used_at"] is None for row in site.dump()[TOKENS]].count(True) == 1


def test_the_policy_says_what_goes_on(make: MakeSite, between: FaultProxy) -> None:
    site = make(AUTH_REVOCATION_POLICY="reads")
    user, ended = (
        bearer(site.post("/auth/register", {**ADA, "email": f"{name}@example.org"}).json["access_token"])
        for name in "ab"
    )
    assert site.post("/auth/logout", {}, ended).status_code == 204
    assert [site.call(method, "/echo", headers=user).status_code for method in ("GET", "POST")] == [200, 200]
    with between.suffering(Refuse()):
        wait_until(lambda: _applies(site, user), "the knowledge does not grow old")
        assert site.call("GET", "/echo", headers=user).status_code == 200
        refused = site.call("POST", "/echo", headers=user)
        assert_problem(refused, 503, "unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert [site.call(method, "/echo", headers=ended).status_code for method in ("GET", "POST")] == [401, 503]
        assert [site.call(method, "/echo").status_code for method in ("GET", "POST")] == [200, 200]
    wait_until(site.manager.adapters["supabase"].connect, "the database is not found well again")
    wait_until(lambda: site.call("POST", "/echo", headers=user).status_code == 200, "it does not ask again")
    assert site.call("GET", "/echo", headers=ended).status_code == 401


def _applies(site: Site, user: dict[str, str]) -> bool:
    site.get("/echo", user)
    return bool(site.get("/status").json["revocation"]["applies"])

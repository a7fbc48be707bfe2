"""Numbers that the server makes before the commit: each record is written once, under the number that was told."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import InvalidQuery
from database.core.errors import Outcome
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.errors import Unavailable
from database.core.operations import Insert
from database.core.operations import Upsert
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import only_convex
from tests.integration.buffered.remote import only_supabase
from tests.integration.buffered.servers import ConvexServer
from tests.integration.buffered.servers import SupabaseServer
from tests.integration.buffered.traffic import Cut
from tests.integration.buffered.traffic import Lost


def alone(adapter: DatabaseAdapter) -> list[int]:
    return [row["id"] for row in adapter.run(Insert("receipts", [{"amount": 1}, {"amount": 2}])).rows]


def transact(adapter: DatabaseAdapter) -> list[int]:
    with adapter.transaction():
        return [adapter.run(Insert("receipts", [{"amount": amount}])).rows[0]["id"] for amount in (1, 2)]


ways = pytest.mark.parametrize("write", [alone, transact])


def _stored(remote: Remote) -> list[int]:
    return [row["id"] for row in remote.direct.table("receipts").select("id").execute()]


@ways
def test_a_commit_whose_answer_is_lost_is_sent_again_with_the_same_numbers(
    remote: Remote, write: Callable[[DatabaseAdapter], list[int]]
) -> None:
    remote.traffic.plan(Lost(), remote.server.commit, times=2)
    remote.traffic.plan(Lost(), "isthmus_commit_as", times=2)
    numbers = write(remote.adapter)
    assert remote.traffic.count(remote.server.reserve) == (1 if write is alone else 2)
    assert _stored(remote) == numbers
    assert numbers[0] < numbers[1]


@ways
@pytest.mark.parametrize("fault", [Lost, Cut])
def test_a_lost_reservation_costs_numbers_and_nothing_else(
    remote: Remote, write: Callable[[DatabaseAdapter], list[int]], fault: Callable[[], Lost | Cut]
) -> None:
    remote.traffic.plan(fault(), remote.server.reserve, times=2)
    numbers = write(remote.adapter)
    assert _stored(remote) == numbers


def test_without_numbers_nothing_is_written(remote: Remote) -> None:
    remote.traffic.plan(Lost(), remote.server.reserve, times=inf)
    with pytest.raises(Unavailable) as caught:
        remote.another(retry_count=1).run(Insert("receipts", [{"amount": 1}]))
    assert caught.value.outcome is Outcome.NOT_APPLIED
    assert remote.commits() == []
    assert _stored(remote) == []


@only_convex
def test_a_reservation_that_conflicts_is_repeated(remote: Remote) -> None:
    assert isinstance(remote.server, ConvexServer)
    remote.server.deployment.faults.add("conflict", path=remote.server.reserve, count=2)
    numbers = alone(remote.adapter)
    assert _stored(remote) == numbers


@only_supabase
@pytest.mark.parametrize("write", [alone, transact])
def test_policies_decide_about_the_records_of_callers(
    remote: Remote, write: Callable[[DatabaseAdapter], list[int]]
) -> None:
    """Although the service states that their keys were made, and the caller has no right on the sequence."""
    server = remote.server
    assert isinstance(server, SupabaseServer)
    server.execute(
        "alter table receipts enable row level security; create policy small on receipts to authenticated"
        " using (amount < 3) with check (amount < 3 and auth.uid()::text = '0198c5d2-0000-7000-8000-00000000000a');"
        "revoke all on all sequences in schema public from authenticated, service_role"
    )
    try:
        with acting_as(remote.user("0198c5d2-0000-7000-8000-00000000000a")):
            numbers = write(remote.adapter)
            with pytest.raises(PermissionDenied):
                remote.adapter.run(Insert("receipts", [{"amount": 3}]))
        with acting_as(remote.user("0198c5d2-0000-7000-8000-00000000000b")), pytest.raises(PermissionDenied):
            write(remote.adapter)
        assert _stored(remote) == numbers
    finally:
        server.execute("alter table receipts disable row level security; drop policy small on receipts")


@only_supabase
def test_a_project_without_the_function_is_told_what_to_run(remote: Remote) -> None:
    server = remote.server
    assert isinstance(server, SupabaseServer)
    server.execute("alter function isthmus_numbers(text, integer) rename to gone; notify pgrst, 'reload schema'")
    try:
        server.project.reload()
        with pytest.raises(SchemaMismatch, match=r"isthmus_numbers.*`flask db upgrade`.*`flask db supabase-sql`"):
            alone(remote.adapter)
    finally:
        server.execute("alter function gone(text, integer) rename to isthmus_numbers")
        server.project.reload()
    assert len(alone(remote.adapter)) == 2


@only_convex
def test_a_function_of_ones_own_makes_numbers_of_the_same_counter(remote: Remote) -> None:
    number = alone(remote.adapter)[-1]
    with as_application():
        made = remote.adapter.call("ledger:receipt", {"amount": 5})
    assert made["id"] == number + 1
    assert alone(remote.adapter)[0] == number + 2
    assert remote.direct.get("receipts", str(number + 1)) == {"id": number + 1, "amount": 5}


@only_convex
def test_numbers_that_are_used_up_are_an_error(remote: Remote) -> None:
    remote.direct.run(Upsert("receipts", [{"id": 2**63 - 2, "amount": 1}], verbatim=True))
    with pytest.raises(InvalidQuery, match="the numbers of table receipts are used up"):
        alone(remote.adapter)
    assert remote.direct.run(Insert("receipts", [{"amount": 1}])).ids == [str(2**63 - 1)]

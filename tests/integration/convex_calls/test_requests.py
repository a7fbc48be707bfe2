"""A function of the application's own, called in a request that changes something: run as written, exactly once."""

from __future__ import annotations

import pytest
from flask import Response
from flask import after_this_request
from flask import jsonify
from flask.typing import ResponseReturnValue

from api.http.idempotency import idempotent
from database.backends.convex.errors import FunctionError
from tests.integration.convex_calls.conftest import Site
from tests.integration.convex_calls.support import Shop
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link

COMMIT = b"isthmus:commit"
CUPS = {"item": "cup", "amount": 3}
ORDERED = [("cup", 3)]
ENTERED = ["ada ordered cup"]


class LoseFirstReply(LoseReply):
    """As :class:`LoseReply`, and what is sent again is answered."""

    async def request(self, link: Link, data: bytes) -> None:
        if self._doomed:
            await link.to_server(data)
        else:
            await super().request(link, data)


@pytest.fixture(autouse=True)
def _views(site: Site) -> None:
    """Views that order something."""

    def order() -> ResponseReturnValue:
        made = site.adapter.execute_query("api.orders.create", CUPS)
        site.results.append(made)
        return {"made": made, "list": [made]}, 201

    def together() -> ResponseReturnValue:
        site.adapter.table("orders").insert({"item": "pot", "amount": 1}).execute()
        site.adapter.execute_query("orders:create", CUPS)
        site.adapter.execute_query("orders:update", {"data": "cup", "id": "all"})
        return {}, 201

    def failing(amount: str) -> ResponseReturnValue:
        site.adapter.table("orders").insert({"item": "pot", "amount": 1}).execute()
        site.adapter.execute_query("orders:create", CUPS)
        site.adapter.execute_query("orders:create", {"item": "bowl", "amount": int(amount)})
        return {}, 201

    def too_early() -> ResponseReturnValue:
        return jsonify(site.adapter.execute_query("orders:create", CUPS))

    def afterwards() -> ResponseReturnValue:
        made = site.adapter.execute_query("orders:create", CUPS)

        @after_this_request
        def locate(response: Response) -> Response:
            response.headers["X-Amount"] = f"{made['amount']}"
            return response

        return {}, 201

    site.app.post("/order")(order)
    site.app.post("/once", endpoint="once")(idempotent(lambda: ordered(site)))
    site.app.post("/together")(together)
    site.app.post("/failing/<amount>")(failing)
    site.app.post("/early")(too_early)
    site.app.post("/afterwards")(afterwards)


def ordered(site: Site) -> ResponseReturnValue:
    site.adapter.execute_query("orders:create", CUPS)
    return {"ordered": "cup"}, 201


def test_it_runs_with_the_commit_and_the_answer_has_what_it_returned(site: Site, shop: Shop) -> None:
    status, answer = site.post("/order")
    assert status == 201
    (row,) = shop.direct.table("orders").execute().rows
    assert answer["made"] == answer["list"][0] == {"number": row["id"], "amount": 6.0}
    assert (shop.orders(), shop.entries()) == (ORDERED, ENTERED)
    assert shop.commits() == 1
    assert site.results[0].value["number"] == row["id"]


def test_several_run_in_order_behind_the_changes(site: Site, shop: Shop) -> None:
    assert site.post("/together")[0] == 201
    assert shop.orders() == [("cup", 4), ("pot", 1)]
    assert shop.commits() == 1


def test_its_refusal_undoes_the_request_and_is_its_own(site: Site, shop: Shop) -> None:
    """Also with a code that the commit itself knows."""
    seen: list[FunctionError] = []

    @site.app.errorhandler(FunctionError)
    def refused(error: FunctionError) -> ResponseReturnValue:
        seen.append(error)
        return {"most": error.data["most"]}, 422

    assert site.post("/failing/101") == (422, {"most": 100.0})
    assert seen[0].data == {"code": "UNIQUE", "most": 100.0}
    assert "orders:create" in str(seen[0])
    assert (shop.orders(), shop.entries()) == ([], [])


def test_its_failure_undoes_the_request_and_says_nothing_of_itself(site: Site, shop: Shop) -> None:
    status, answer = site.post("/failing/-1")
    assert status == 500
    assert answer["type"] == "urn:isthmus:problem:data-error"
    assert "swordfish" not in str(answer)
    assert (shop.orders(), shop.entries()) == ([], [])
    assert site.adapter.pipeline.circuit_breaker.state == "closed"


def test_a_lost_reply_is_made_up_for(site: Site, shop: Shop) -> None:
    with site.proxy.suffering(LoseFirstReply(COMMIT)):
        status, answer = site.post("/order")
    assert status == 201
    assert answer["made"]["amount"] == 6.0
    assert (shop.orders(), shop.entries()) == (ORDERED, ENTERED)
    assert shop.commits() == 2


def test_a_request_repeated_with_its_key_runs_it_once(site: Site, shop: Shop) -> None:
    with site.proxy.suffering(LoseReply(COMMIT)):
        status, answer = site.post("/once", Idempotency_Key="k")
    assert (status, answer["type"]) == (503, "urn:isthmus:problem:outcome-unknown")
    for _ in range(2):
        assert site.post("/once", Idempotency_Key="k") == (201, {"ordered": "cup"})
    assert (shop.orders(), shop.entries()) == (ORDERED, ENTERED)


def test_its_answer_is_not_there_before_the_commit(site: Site, shop: Shop) -> None:
    status, answer = site.post("/early")
    assert status == 409
    assert "orders:create runs when the transaction commits" in answer["detail"]
    assert shop.orders() == []


def test_an_answer_that_is_stored_with_the_commit_cannot_have_it(site: Site, shop: Shop) -> None:
    @site.app.post("/stored")
    @idempotent
    def stored() -> ResponseReturnValue:
        return {"made": site.adapter.execute_query("orders:create", CUPS)}, 201

    assert site.post("/stored", Idempotency_Key="k")[0] == 409
    assert shop.orders() == []
    assert site.post("/stored")[0] == 201
    assert shop.orders() == ORDERED


def test_its_answer_is_there_for_what_runs_after_the_view(site: Site) -> None:
    assert site.app.test_client().post("/afterwards").headers["X-Amount"] == "6.0"

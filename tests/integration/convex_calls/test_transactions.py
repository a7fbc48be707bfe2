"""Functions in a transaction: those that the deployment says are operations of a table, and all others."""

from __future__ import annotations

import pytest
from convex import ConvexError

from database.backends.convex import ConvexAdapter
from database.backends.convex.errors import FunctionError
from database.core.context import ANONYMOUS
from database.core.context import acting_as
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import PermissionDenied
from database.core.errors import TransactionError
from database.core.errors import Unsupported
from database.core.operations import Call
from database.core.operations import Insert
from tests.integration.convex_calls.support import Shop

TOO_MANY = {"code": "UNIQUE", "most": 100.0}


def order(adapter: ConvexAdapter, item: str, amount: int = 1) -> object:
    return adapter.call("orders:create", {"item": item, "amount": amount})


def test_a_nested_transaction_takes_back_what_it_called(adapter: ConvexAdapter, shop: Shop) -> None:
    undone: list[object] = []

    def fail() -> None:
        with adapter.transaction():
            undone.append(order(adapter, "bowl"))
            raise LookupError

    with adapter.transaction():
        order(adapter, "cup")
        with pytest.raises(LookupError):
            fail()
        with adapter.transaction():
            order(adapter, "pot")
        assert shop.orders() == []
    assert shop.orders() == [("cup", 1), ("pot", 1)]
    with pytest.raises(TransactionError, match="orders:create"):
        bool(undone[0])


def test_a_rollback_runs_nothing(adapter: ConvexAdapter, shop: Shop) -> None:
    transaction = adapter.begin_transaction()
    transaction.run(adapter, Call("orders:create", {"item": "cup", "amount": 1}))
    transaction.rollback()
    assert (shop.orders(), shop.commits()) == ([], 0)


def test_a_batch_has_what_its_functions_returned(adapter: ConvexAdapter, shop: Shop) -> None:
    call = ("orders:create", {"item": "cup", "amount": 1})
    first, _, second = adapter.execute_batch([call, "insert into orders (item, amount) values ('pot', 1)", call])
    assert (first["amount"], second["amount"]) == (2.0, 2.0)
    assert type(first) is dict
    assert (shop.orders(), shop.commits()) == ([("cup", 1), ("cup", 1), ("pot", 1)], 1)


def test_its_error_is_that_of_the_transaction(adapter: ConvexAdapter, shop: Shop) -> None:
    transaction = adapter.begin_transaction()
    transaction.run(adapter, Insert("orders", [{"item": "pot", "amount": 1}]))
    transaction.run(adapter, Call("orders:create", {"item": "cup", "amount": 101}))
    with pytest.raises(FunctionError) as error:
        transaction.commit()
    assert error.value.data == TOO_MANY
    assert (shop.orders(), transaction.state) == ([], "rolled_back")


def test_its_error_outside_of_transactions_is_the_same(adapter: ConvexAdapter, shop: Shop) -> None:
    with pytest.raises(ConvexError) as error:
        order(adapter, "cup", 101)
    assert isinstance(error.value, FunctionError)
    assert error.value.data == TOO_MANY
    with pytest.raises(FunctionError) as error:
        order(adapter, "cup", -1)
    assert error.value.data is None
    assert "swordfish" not in str(error.value)
    assert shop.orders() == []


def test_it_gets_the_arguments_that_it_was_called_with(adapter: ConvexAdapter, shop: Shop) -> None:
    arguments = {"item": "cup", "amount": 1}
    with adapter.transaction():
        adapter.call("orders:create", arguments)
        arguments["item"] = "pot"
    assert shop.orders() == [("cup", 1)]
    with pytest.raises(InvalidQuery, match="orders:create"), adapter.transaction():
        adapter.call("orders:create", {"item": {1}})


def test_what_it_does_not_take_it_refuses_itself(adapter: ConvexAdapter) -> None:
    with pytest.raises(FunctionError, match="orders:create"), adapter.transaction():
        adapter.call("orders:create", {"data": {"item": "cup", "amount": 1}})


def test_a_query_is_answered_until_there_is_something_it_would_not_see(adapter: ConvexAdapter, shop: Shop) -> None:
    order(shop.direct, "cup")
    transaction = adapter.begin_transaction()
    query = Call("orders:list", {"of": "c"})
    assert transaction.run(adapter, query).value == ["cup"]
    transaction.run(adapter, Call("orders:create", {"item": "clock", "amount": 1}))
    with pytest.raises(Unsupported, match="orders:list cannot be called"):
        transaction.run(adapter, query)
    transaction.rollback()
    assert shop.orders() == [("cup", 1)]


def test_rows_show_nothing_of_it_before_the_commit(adapter: ConvexAdapter) -> None:
    with adapter.transaction():
        order(adapter, "cup")
        assert adapter.table("orders").execute().rows == []
        adapter.table("orders").insert({"item": "pot", "amount": 1}).execute()
        assert [row["item"] for row in adapter.table("orders").execute().rows] == ["pot"]
    assert [row["item"] for row in adapter.table("orders").order("item").execute().rows] == ["cup", "pot"]


def test_what_does_not_exist_is_not_found(adapter: ConvexAdapter) -> None:
    with pytest.raises(NotFound, match="orders:remove"), adapter.transaction():
        adapter.call("orders:remove", {"id": "x"})


@pytest.mark.parametrize("function", ["internal.orders.seed", "isthmus:commit", "isthmus:purge"])
def test_what_is_internal_is_for_the_application_alone(adapter: ConvexAdapter, shop: Shop, function: str) -> None:
    """The commit has the deploy key, and its caller is none the mightier for that."""
    for identity in (shop.user("ada"), ANONYMOUS):
        with acting_as(identity), pytest.raises(NotFound), adapter.transaction():
            adapter.call(function, {"item": "cup"})
    with adapter.transaction():
        adapter.call("internal.orders.seed", {"item": "cup"})
    assert shop.orders() == [("cup", 0)]


def test_functions_on_records_are_operations_under_the_tables_rules(adapter: ConvexAdapter, shop: Shop) -> None:
    ada, bob = shop.user("ada"), shop.user("bob")
    with acting_as(ada), adapter.transaction():
        made = adapter.call("diaries:create", {"data": {"title": "mine"}})
        assert made["owner_id"] == "ada"
        assert adapter.call("diaries:update", {"id": made["id"], "data": {"title": "x"}})["title"] == "x"
        assert [entry["title"] for entry in adapter.call("diaries:list", {"limit": 5})] == ["x"]
    with acting_as(bob), adapter.transaction():
        adapter.call("diaries:create", {"data": {"title": "other"}})
        assert adapter.call("diaries:get", {"id": made["id"]}) is None
        assert [entry["title"] for entry in adapter.call("diaries:list")] == ["other"]
    with acting_as(ada), adapter.transaction():
        assert adapter.call("diaries:burn", {"id": made["id"]}) is None
    functions = shop.deployment.requests().functions
    assert not any(name.startswith("diaries:") for name in functions)
    assert [row["title"] for row in shop.direct.table("diaries").execute().rows] == ["other"]


@pytest.mark.parametrize("call", ["create", "update", "burn"])
def test_whom_the_rules_refuse_changes_nothing(adapter: ConvexAdapter, shop: Shop, call: str) -> None:
    with acting_as(shop.user("ada")), adapter.transaction():
        made = adapter.call("diaries:create", {"data": {"title": "mine"}})
    forged = {"title": "x", "owner_id": "ada"}
    arguments: dict[str, dict[str, object]] = {
        "create": {"data": forged},
        "update": {"id": made["id"], "data": forged},
        "burn": {"id": made["id"]},
    }
    for identity in (ANONYMOUS, shop.user("bob")):
        with acting_as(identity), pytest.raises((NotFound, PermissionDenied)), adapter.transaction():
            adapter.call(f"diaries:{call}", arguments[call])
    assert [row["title"] for row in shop.direct.table("diaries").execute().rows] == ["mine"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("create", {}),
        ("create", {"title": "x"}),
        ("create", {"data": {"title": "x"}, "note": 1}),
        ("create", {"data": {"title": "x", "id": "mine"}}),
        ("create", {"data": "x"}),
        ("update", {"data": {"title": "x"}}),
        ("list", {"limit": 1.5}),
        ("list", {"limit": float("inf")}),
    ],
)
def test_they_take_the_arguments_of_the_function(
    adapter: ConvexAdapter, function: str, arguments: dict[str, object]
) -> None:
    transaction = adapter.begin_transaction()
    transaction.run(adapter, Insert("diaries", [{"title": "x", "owner_id": "x"}]))
    with pytest.raises(InvalidQuery):
        transaction.run(adapter, Call(f"diaries:{function}", arguments))
    transaction.rollback()


def test_one_that_is_declared_in_the_configuration_is_called(shop: Shop) -> None:
    adapter = shop.adapter(functions={"diaries:create": "mutation"})
    with adapter.transaction():
        made = adapter.call("diaries:create", {"data": {"title": "x", "owner_id": "x"}})
        assert adapter.table("diaries").execute().rows == []
    adapter.disconnect()
    assert made["title"] == "x"

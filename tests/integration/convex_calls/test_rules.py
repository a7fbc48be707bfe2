"""The tables' access rules decide alike, whether a function on records is called or carried out by a transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from database.backends.convex import ConvexAdapter
from database.backends.convex.errors import FunctionError
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import NotFound
from database.core.errors import PermissionDenied
from database.core.operations import Call
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.result import Result
from tests.integration.convex_calls.support import RULES
from tests.integration.convex_calls.support import Shop

CODES = {"UNAUTHENTICATED": PermissionDenied, "FORBIDDEN": PermissionDenied, "NOT_FOUND": NotFound}
CALLERS: dict[str, dict[str, Any]] = {
    "ada": {},
    "staff": {"role": "staff"},
    "admin": {"role": "admin"},
    "cleaner": {"permissions": ["desk:*"]},
    "reader": {"permissions": ["*:read", "desk:delete:x", 1, None]},
}
HERS, BOBS = "owned-by-her", "owned-by-bob"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("create", {"data": {"title": "new"}}),
    ("create", {"data": {"title": "new", "owner_id": "bob"}}),
    ("update", {"id": HERS, "data": {"title": "changed"}}),
    ("update", {"id": HERS, "data": {"title": "given", "owner_id": "bob"}}),
    ("update", {"id": BOBS, "data": {"title": "changed"}}),
    ("remove", {"id": HERS}),
    ("remove", {"id": BOBS}),
    ("get", {"id": HERS}),
    ("get", {"id": BOBS}),
    ("list", {}),
]


def outcome(run: Callable[[Operation], Result], call: Call) -> object:
    """The titles and owners of the answer, or the kind of the refusal."""
    try:
        answer = run(call).value
    except FunctionError as error:
        return CODES[error.data["code"]]
    except (PermissionDenied, NotFound) as error:
        return type(error)
    rows = answer if isinstance(answer, list) else [answer]
    return sorted((row["title"], row["owner_id"] or "") for row in rows if row is not None)


@pytest.mark.parametrize("caller", ["anonymous", *CALLERS])
@pytest.mark.parametrize("table", RULES)
def test_the_rules_decide_alike(adapter: ConvexAdapter, shop: Shop, table: str, caller: str) -> None:
    identity = shop.user(caller, **CALLERS[caller]) if caller in CALLERS else ANONYMOUS
    fresh = False
    for verb, arguments in CALLS:
        if not fresh:
            put_back(shop.direct, table, caller)
        call = Call(f"{table}:{verb}", arguments)
        joined = inside(adapter, identity, call)
        with acting_as(identity):
            assert outcome(adapter.run, call) == joined, call
        fresh = isinstance(joined, type) or verb in {"get", "list"}


def put_back(adapter: ConvexAdapter, table: str, subject: str) -> None:
    """A record of the caller's and one of Bob's, and no others."""
    rows = [{"id": HERS, "owner_id": subject, "title": "a"}, {"id": BOBS, "owner_id": "bob", "title": "b"}]
    with adapter.transaction():
        adapter.table(table).delete().is_null("id", False).execute()
        adapter.run(Insert(table, rows))


def inside(adapter: ConvexAdapter, identity: Identity, call: Call) -> object:
    """The outcome in a transaction that has changed something and is rolled back."""
    transaction = adapter.begin_transaction()
    try:
        transaction.run(adapter, Insert("entries", [{"text": "so that the deployment is not asked"}]))
        with acting_as(identity):
            return outcome(partial(transaction.run, adapter), call)
    finally:
        transaction.rollback()

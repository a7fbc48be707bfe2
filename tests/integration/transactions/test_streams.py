"""A streamed response is committed before its first byte; its generator reads as the caller, but cannot write."""

from __future__ import annotations

import gc
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask import request
from flask import stream_with_context

from database.connection_manager import ConnectionManager
from database.core.context import NO_CONTEXT
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import active_unit
from database.core.context import current_context
from database.core.errors import TransactionError
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import write

Wrap = Callable[[Iterator[str]], Iterator[str]]

WRAPS: list[Wrap] = [iter, stream_with_context]

pytestmark = pytest.mark.parametrize("wrap", WRAPS, ids=["plain", "with context"])


def stream(app: Flask, pieces: Callable[[], Iterator[str]], wrap: Wrap) -> Any:
    app.add_url_rule("/", "view", lambda: Response(wrap(pieces())), methods=["POST"])
    return app.test_client().post("/")


def test_what_the_view_wrote_is_there_before_the_first_byte(
    app: Flask, manager: ConnectionManager, ledger: Ledger, wrap: Wrap
) -> None:
    def pieces() -> Iterator[str]:
        yield ",".join(ledger.notes())
        yield f" {ledger.has_open_transaction()}"

    @app.post("/stored")
    def view() -> Response:
        write(manager, "by the view")
        return Response(wrap(pieces()))

    assert app.test_client().post("/stored").text == "by the view False"


def test_a_stream_may_read(app: Flask, manager: ConnectionManager, wrap: Wrap) -> None:
    def pieces() -> Iterator[str]:
        yield f"{balance(manager)} "
        yield f"{balance(manager)}"

    assert stream(app, pieces, wrap).text == "0 0"


def test_a_stream_may_not_write_in_passing(app: Flask, manager: ConnectionManager, ledger: Ledger, wrap: Wrap) -> None:
    def pieces() -> Iterator[str]:
        with pytest.raises(TransactionError, match="already ended"):
            write(manager, "in passing")
        yield "refused"

    assert stream(app, pieces, wrap).text == "refused"
    assert ledger.notes() == []


def test_a_stream_may_open_a_transaction_of_its_own(
    app: Flask, manager: ConnectionManager, ledger: Ledger, wrap: Wrap
) -> None:
    def pieces() -> Iterator[str]:
        with manager.transaction():
            write(manager, "first")
            yield "1"
            write(manager, "second")
        yield "2"

    assert stream(app, pieces, wrap).text == "12"
    assert ledger.notes() == ["first", "second"]


def test_a_stream_that_is_given_up_undoes_its_own_transaction(
    app: Flask, manager: ConnectionManager, ledger: Ledger, wrap: Wrap
) -> None:
    def pieces() -> Iterator[str]:
        with manager.transaction():
            write(manager, "first")
            yield "1"
            pytest.fail("nobody reads on")

    answer = stream(app, pieces, wrap)
    answer.close()
    assert ledger.notes() == []
    assert not ledger.has_open_transaction()


def test_a_stream_that_nobody_closes_ends_when_it_is_forgotten(
    app: Flask, manager: ConnectionManager, ledger: Ledger, wrap: Wrap
) -> None:
    def pieces() -> Iterator[str]:
        with manager.transaction():
            write(manager, "first")
            yield "1"

    answer = stream(app, pieces, wrap)
    del answer
    gc.collect()
    assert not ledger.has_open_transaction()
    assert ledger.notes() == []


def test_a_stream_reads_as_the_caller_and_without_the_requests_deadline(app: Flask, wrap: Wrap) -> None:
    @app.before_request
    def authenticate() -> None:
        current_context.set(current_context.get().acting_as(Identity(request.headers["X-User"])))

    def pieces() -> Iterator[str]:
        context = current_context.get()
        assert context.identity is not None
        yield f"{context.identity.subject} {context.deadline}"

    app.add_url_rule("/", "view", lambda: Response(wrap(pieces())))
    streams = [app.test_client().get("/", headers={"X-User": name}) for name in ("ann", "bob")]
    assert [answer.text for answer in reversed(streams)] == ["bob inf", "ann inf"]


def test_what_a_stream_changes_of_its_context_stays_in_it(app: Flask, wrap: Wrap) -> None:
    def pieces() -> Iterator[str]:
        with acting_as(Identity("service")):
            yield "1"
            identity = current_context.get().identity
            assert identity is not None
            yield f"{identity.subject}"

    answer = stream(app, pieces, wrap)
    chunks = iter(answer.response)
    assert next(chunks) == b"1"
    assert current_context.get() == NO_CONTEXT
    assert active_unit.get() is None
    assert next(chunks) == b"service"
    answer.close()

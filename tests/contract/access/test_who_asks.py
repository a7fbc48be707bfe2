"""The identity of each call of an app, by place: the table of docs/callers.md, on every backend."""

from __future__ import annotations

import contextvars
import re
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask import request_started

from api.http import problem
from auth import middleware
from auth.bridge import AuthBridge
from config.settings import load_settings
from database import flask_scope
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.context import in_callers_name
from database.core.errors import CallerMissing
from database.core.errors import PermissionDenied
from database.core.errors import TransactionError
from database.core.operations import Insert
from database.core.operations import Select
from database.sync import SyncManager
from database.unit_of_work import after_commit
from database.unit_of_work import before_commit
from tests.contract.backends import Backend
from tests.contract.callers import ADA
from tests.contract.callers import begin_diaries
from tests.contract.following import PATIENCE
from tests.servers.supabase_api import JWT_SECRET

DOCUMENT = Path(__file__).parents[3] / "docs" / "callers.md"
ROW = re.compile(r"^\| (?P<place>[^|]+) \| (?P<who>the caller|the subscriber|nobody|refused|the application) \|$", re.M)
TABLE = {row["place"]: row["who"] for row in ROW.finditer(DOCUMENT.read_text())}
SEEN = {"a1 a2": "ada", "a1 a2 b1": "the application"}

Told = SimpleQueue[str]
Ask = Callable[[], None]


class Places:
    """An app that records the identity at each place; ``who`` reads it from the database, which returns own rows."""

    def __init__(self, manager: ConnectionManager) -> None:
        self.manager = manager
        self.told: Told = SimpleQueue()
        self.app = Flask(__name__)
        settings = load_settings(None, ENVIRONMENT="testing", JWT_ALGORITHM="HS256", JWT_SECRET=JWT_SECRET)
        self.bridge = AuthBridge(settings=settings)
        flask_scope.init_app(self.app, manager)
        middleware.init_app(self.app, self.bridge)
        problem.init_app(self.app)

    def who(self) -> str:
        try:
            rows = self.manager.run(Select("diaries", ("id",))).rows
        except CallerMissing:
            return "nobody"
        except PermissionDenied:
            return "anonymous"
        except TransactionError as error:
            return "refused" if "in_callers_name" in str(error) else str(error)
        return SEEN[" ".join(sorted(row["id"] for row in rows))]

    def tell(self, *_: object) -> None:
        self.told.put(self.who())

    def found_in(self, place: str, headers: dict[str, str]) -> str:
        """Who asks at a place, in the course of a request with these headers."""
        begin = PLACES[place](self)
        self.app.add_url_rule("/", "view", begin or (lambda: "nothing"))
        with self.app.test_client().get("/", headers=headers, buffered=True):
            pass
        return self.told.get(timeout=PATIENCE)


def in_thread(work: Ask) -> None:
    thread = Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def in_executor(work: Ask) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(PATIENCE)


View = Callable[[], Any]
PLACES: dict[str, Callable[[Places], View | None]] = {}


def at(place: str) -> Callable[[Callable[[Places], View | None]], Callable[[Places], View | None]]:
    """A place of the table: what sets it up and returns the view to be asked for, if there is a special one."""

    def add(prepare: Callable[[Places], View | None]) -> Callable[[Places], View | None]:
        PLACES[place] = prepare
        return prepare

    return add


def doing(work: Callable[[Places], object]) -> Callable[[Places], View | None]:
    """A view that makes a call and returns."""

    def prepare(places: Places) -> View:
        def view() -> str:
            work(places)
            return "done"

        return view

    return prepare


at("a view")(doing(lambda places: places.tell()))
at("`before_commit`")(doing(lambda places: before_commit(places.tell)))
at("`after_commit`")(doing(lambda places: after_commit(places.tell)))
at("a thread")(doing(lambda places: in_thread(places.tell)))
at("a `ThreadPoolExecutor`")(doing(lambda places: in_executor(places.tell)))
at("a thread with `in_callers_name`")(doing(lambda places: in_thread(in_callers_name(places.tell))))
at("a `ThreadPoolExecutor` with `in_callers_name`")(doing(lambda places: in_executor(in_callers_name(places.tell))))
at("a thread with `contextvars.copy_context()`")(
    doing(lambda places: in_thread(partial(contextvars.copy_context().run, places.tell)))
)


@at("`before_request`")
def _before(places: Places) -> None:
    places.app.before_request(places.tell)


@at("`after_request`")
def _after(places: Places) -> None:
    def after(response: Response) -> Response:
        places.tell()
        return response

    places.app.after_request(after)


@at("`teardown_request`")
def _teardown(places: Places) -> None:
    places.app.teardown_request(places.tell)


@at("an error handler")
def _error(places: Places) -> View:
    def answer(_: LookupError) -> tuple[str, int]:
        places.tell()
        return "", 500

    def view() -> str:
        raise LookupError

    places.app.register_error_handler(LookupError, answer)
    return view


@at("the pieces of a stream")
def _stream(places: Places) -> View:
    def pieces() -> Iterator[str]:
        places.tell()
        yield "piece"

    return lambda: Response(pieces())


@at("`response.call_on_close`")
def _close(places: Places) -> View:
    def view() -> Response:
        response = Response("done")
        response.call_on_close(places.tell)
        return response

    return view


@at("the signal `request_started`")
def _signal(places: Places) -> None:
    request_started.connect(places.tell, places.app, weak=False)


@at("a job: a thread of the application's own")
def _job(places: Places) -> None:
    in_thread(places.tell)


@at("a command of `app.cli`")
def _command(places: Places) -> None:
    places.app.cli.command("ask")(places.tell)
    result = places.app.test_cli_runner().invoke(args=["ask"])
    assert result.exit_code == 0, result.output


@at("the callback of a subscription")
def _subscription(places: Places) -> View:
    def view() -> str:
        try:
            live = places.manager.table("diaries").subscribe(places.tell)
        except PermissionDenied:
            # Whoever may not read it follows nothing, and never as somebody else.
            places.told.put("anonymous")
            return "refused"
        with live:
            who = places.told.get(timeout=PATIENCE)
        places.told.put(who)
        return "followed"

    return view


@at("the callbacks and the resolver of a sync")
def _sync(places: Places) -> None:
    sides = MemoryAdapter(), MemoryAdapter()
    for name, side in zip("ab", sides, strict=True):
        side.run(Insert("molecules", [{"id": "m", "name": name}]))
    asked: list[str] = []

    def resolve(*_: object) -> dict[str, Any]:
        asked.append(places.who())
        return {"name": "c"}

    sync = SyncManager(*sides, sync_tables=["molecules"], conflict_resolution=resolve)
    sync.set_callbacks(on_sync_start=lambda: asked.append(places.who()), on_sync_complete=lambda _: places.tell())
    sync.start_sync()
    who = places.told.get(timeout=PATIENCE)
    sync.stop_sync_thread()
    assert asked
    assert {*asked} == {who}
    places.told.put(who)


@at("`with as_application():`, anywhere")
@doing
def _application(places: Places) -> None:
    def ask() -> None:
        with as_application():
            places.tell()

    ask()
    in_thread(ask)
    if {places.told.get(), places.told.get()} == {"the application"}:
        places.told.put("the application")


@pytest.fixture
def manager(backend: Backend) -> Iterator[ConnectionManager]:
    """A manager with a separate adapter for an app, because the adapter keeps requiring callers."""
    adapter = backend.another()
    begin_diaries(adapter)
    manager = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
    yield manager
    manager.disconnect()


def test_the_table_has_every_place() -> None:
    assert {*TABLE} == {*PLACES}


@pytest.mark.parametrize("signed_in", [True, False], ids=["ada", "anonymous"])
def test_who_asks(manager: ConnectionManager, signed_in: bool) -> None:
    """No part of an anonymous request has the application's rights without as_application()."""
    caller = "ada" if signed_in else "anonymous"
    expected = {place: caller if who in {"the caller", "the subscriber"} else who for place, who in TABLE.items()}
    found = {}
    for place in PLACES:
        places = Places(manager)
        token = places.bridge.generate_token(str(ADA.subject), {"email": "ada@example.org"})
        found[place] = places.found_in(place, {"Authorization": f"Bearer {token}"} if signed_in else {})
    assert found == expected


def test_what_no_caller_is_known_of_is_refused_in_every_way(manager: ConnectionManager) -> None:
    Places(manager)
    adapter = manager.adapters["main"]
    attempts: dict[str, Callable[[], object]] = {
        "manager": lambda: manager.run(Select("things")),
        "adapter": lambda: adapter.run(Select("things")),
        "alone": lambda: adapter.run_alone(Insert("things", [])),
        "changes": adapter.changes,
        "begin": adapter.begin_transaction,
        "transaction": lambda: manager.transaction().__enter__(),
        "text": lambda: manager.execute_query("select * from things"),
        "subscribe": lambda: adapter.table("things").subscribe(lambda _: None),
        "on_changes": lambda: adapter.table("things").on_changes(lambda _: None),
    }
    for attempt in attempts.values():
        with pytest.raises(CallerMissing, match=r"in_callers_name.*as_application"):
            attempt()
    # Whether it is there is not somebody's question.
    assert adapter.test_connection() == (True, "Connection successful")
    assert manager.connect()

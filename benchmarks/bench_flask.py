"""Flask: a request with a token and a transaction of one read and one write, called in process without a server.

Every request carries the same token, signed with HS256, as a client's requests do until it expires. The databases
are SQLite files with the same settings; the records API is the shipped application with its own table, its
validation, versions and problem answers.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import sqlalchemy as sa
from flask import Flask
from flask.typing import ResponseReturnValue
from flask_jwt_extended import JWTManager
from flask_jwt_extended import create_access_token
from flask_jwt_extended import jwt_required as peers_jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from api import migrating
from app import create_app
from auth import middleware
from auth.bridge import AuthBridge
from auth.guards import jwt_required
from benchmarks.harness import per_call
from benchmarks.harness import report
from benchmarks.items import SCHEMA
from benchmarks.items import create
from benchmarks.items import items
from config.settings import load_settings
from database import flask_transactions
from database.adapters.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.operations import Insert
from database.core.operations import Update
from database.core.schema import new_id

_CALLS = 100
_RULE = "/items/<key>"
_PATH = "/items/0190-00000042"
_SECRET = secrets.token_hex()
_PRAGMAS = ("journal_mode = wal", "synchronous = normal")

Call = Callable[[], object]
Body = Callable[[], bytes]


def run(rounds: int) -> None:
    """Print one table."""
    with TemporaryDirectory(prefix="isthmus-bench-") as name, ExitStack() as resources:
        folder = Path(name)
        calls = {
            "empty route": _caller(_empty()),
            "Isthmus": resources.enter_context(_isthmus(folder / "isthmus.db")),
            "Isthmus, its records API": resources.enter_context(_records_api(folder / "records.db")),
            "Flask-SQLAlchemy and Flask-JWT-Extended": _peer(folder / "peer.db"),
        }
        report(
            f"Flask: token, one read and one write (SQLite, {', '.join(_PRAGMAS)})",
            {name: per_call(call, _CALLS) for name, call in calls.items()},
            baseline="empty route",
            rounds=rounds,
        )


def _empty() -> Flask:
    app = Flask("empty")

    @app.post(_RULE)
    def count_up(key: str) -> ResponseReturnValue:
        return {"id": key, "quantity": 1}

    return app


@contextmanager
def _isthmus(path: Path) -> Iterator[Call]:
    create(f"sqlite:///{path}")
    manager = ConnectionManager(load_settings(None), {"local": _adapter(path)})
    bridge = AuthBridge(_SECRET, settings=manager.settings)
    app = Flask("isthmus")
    flask_transactions.init_app(app, manager)
    middleware.init_app(app, bridge)

    @app.post(_RULE)
    @jwt_required
    def count_up(key: str) -> ResponseReturnValue:
        item = manager.get(items.name, key) or {}
        quantity = item["quantity"] + 1
        manager.run(Update(items.name, {"quantity": quantity}, id=key, returning=False))
        return {"id": key, "quantity": quantity}

    call = _caller(app, bridge.generate_token(new_id()))
    _check_counting(call)
    yield call
    manager.disconnect()


@contextmanager
def _records_api(path: Path) -> Iterator[Call]:
    settings = load_settings(None, jwt_secret=_SECRET, local_db_path=str(path), local_db_synchronous="normal")
    app = create_app(settings)
    migrating.start(app)
    manager: ConnectionManager = app.extensions["isthmus"].manager
    with as_application():
        molecule = manager.run(Insert("molecules", [{"name": "water"}])).rows[0]
    token = app.extensions[middleware.EXTENSION].generate_token(new_id())
    names = count()
    call = _caller(
        app, token, "PATCH", f"/api/molecules/{molecule['id']}", lambda: orjson.dumps({"name": f"water {next(names)}"})
    )
    assert orjson.loads(call())["name"] != orjson.loads(call())["name"]
    yield call
    manager.disconnect()


def _peer(path: Path) -> Call:
    create(f"sqlite:///{path}")
    app = Flask("peer")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
    app.config["JWT_SECRET_KEY"] = _SECRET
    JWTManager(app)
    database = SQLAlchemy(app)

    class Item(database.Model):  # type: ignore[name-defined]  # made when the extension is
        __table__ = items.to_metadata(database.metadata)

    @app.post(_RULE)
    @peers_jwt_required()
    def count_up(key: str) -> ResponseReturnValue:
        item: Any = database.session.get(Item, key)
        item.quantity += 1
        quantity = item.quantity
        database.session.commit()
        return {"id": key, "quantity": quantity}

    with app.app_context():
        sa.event.listen(database.engine, "connect", lambda connection, _: _set_up(connection))
        token = create_access_token(identity=new_id())
    call = _caller(app, token)
    _check_counting(call)
    return call


def _caller(
    app: Flask, token: str | None = None, method: str = "POST", path: str = _PATH, body: Body = bytes
) -> Callable[[], bytes]:
    """Sends a request to ``app`` as a server would; every answer's status is checked.

    :param body: makes the JSON of a request.
    """
    headers = Headers() if token is None else Headers({"Authorization": f"Bearer {token}"})
    base = EnvironBuilder(method=method, path=path, headers=headers, content_type="application/json").get_environ()

    def start_response(status: str, *_: Any) -> Callable[[bytes], object]:
        assert status == "200 OK", status
        return lambda _: None

    def call() -> bytes:
        sent = body()
        environ = {**base, "CONTENT_LENGTH": str(len(sent)), "wsgi.input": io.BytesIO(sent)}
        answer: Any = app(environ, start_response)
        received = b"".join(answer)
        answer.close()
        return received

    return call


def _check_counting(call: Callable[[], bytes]) -> None:
    first, second = (orjson.loads(call())["quantity"] for _ in range(2))
    assert second == first + 1


def _adapter(path: Path) -> SQLiteAdapter:
    return SQLiteAdapter({"path": path, "synchronous": "normal"}, SCHEMA)


def _set_up(connection: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"pragma {pragma}")

"""Flask: a request with a token and a transaction of one read and one write, called in process without a server.

Every request carries the same token, signed with HS256, as a client's requests do until it expires. The databases are
SQLite files with the same settings. The records API is that of the complete application with its own table, sessions,
validation, versions and problem responses. The baseline is the same view written by hand.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

import jwt
import orjson
import sqlalchemy as sa
from flask import Flask
from flask import request
from flask.typing import ResponseReturnValue
from flask_jwt_extended import JWTManager
from flask_jwt_extended import create_access_token
from flask_jwt_extended import jwt_required as peers_jwt_required
from flask_sqlalchemy import SQLAlchemy

from app import create_app
from auth import AuthBridge
from auth import jwt_required
from auth import middleware
from benchmarks.contenders.wsgi import Call
from benchmarks.contenders.wsgi import caller
from benchmarks.harness import compare
from benchmarks.harness import per_call
from benchmarks.items import POINT
from benchmarks.items import SCHEMA
from benchmarks.items import UPDATE
from benchmarks.items import create
from benchmarks.items import items
from benchmarks.items import record
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from config.settings import load_settings
from database import ConnectionManager
from database import Isthmus
from database import SQLiteAdapter
from database import Update
from database import flask_scope
from database.core.tables.schema import new_id

_CALLS = 100
_RULE = "/items/<key>"
_PATH = "/items/0190-00000042"
_RECORDS_PATH = "/api/molecules"
_SECRET = secrets.token_hex()
_PRAGMAS = ("journal_mode = wal", "synchronous = normal")
_TITLE = "Flask: token, one read and one write"
_BASELINE = "by hand"
_OURS = "Isthmus"
_RECORDS = "Isthmus, its records API"
_PEER = "Flask-SQLAlchemy with Flask-JWT-Extended"

LINES = (
    Line("Flask request: token, one read, one write", _TITLE, _OURS, "`sqlite3` and a cached token, by hand", 1.3),
    Line("a record changed by the records API", _TITLE, _RECORDS, "`sqlite3` and a cached token, by hand", 2.0),
    Line(f"{_PEER}, the same request", _TITLE, _PEER, _OURS, 6.0, base=_OURS, at_least=True, shows_figure=False),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure all implementations of the request."""
    with TemporaryDirectory(prefix="isthmus-bench-") as name, ExitStack() as resources:
        folder = Path(name)
        calls = {
            "empty route": caller(_empty(), _PATH, method="POST"),
            _BASELINE: resources.enter_context(_by_hand(_file(folder, plan))),
            _OURS: resources.enter_context(_isthmus(_file(folder, plan))),
            _RECORDS: resources.enter_context(_records_api(folder)),
            _PEER: resources.enter_context(_peer(_file(folder, plan))),
        }
        cases = {name: per_call(call, plan.of(_CALLS)) for name, call in calls.items()}
        yield compare(_TITLE, cases, baseline=_BASELINE, plan=plan, note=f"SQLite with {', '.join(_PRAGMAS)}.")


def _empty() -> Flask:
    app = Flask("empty")

    @app.post(_RULE)
    def count_up(key: str) -> ResponseReturnValue:
        return {"id": key, "quantity": 1}

    return app


@contextmanager
def _by_hand(path: Path) -> Iterator[Call]:
    """A correct implementation for this request alone: a persistent connection, a transaction with the write lock from
    its beginning, and a cache of verified tokens.
    """
    app = Flask("by hand")
    connection = sqlite3.connect(path, isolation_level=None)
    _set_up(connection)
    verified: dict[str, float] = {}

    def require_token() -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if verified.get(token, 0.0) <= time():
            verified[token] = jwt.decode(token, _SECRET, ["HS256"], {"require": ["exp"]})["exp"]

    @app.post(_RULE)
    def count_up(key: str) -> ResponseReturnValue:
        require_token()
        connection.execute("begin immediate")
        try:
            quantity = record(connection.execute(POINT, (key,)).fetchone())["quantity"] + 1
            connection.execute(UPDATE, (quantity, key))
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
        return {"id": key, "quantity": quantity}

    token = jwt.encode({"sub": new_id(), "exp": time() + 86_400}, _SECRET, "HS256")
    yield _counting(app, token)
    connection.close()


@contextmanager
def _isthmus(path: Path) -> Iterator[Call]:
    adapter = SQLiteAdapter({"path": path, "synchronous": "normal"}, SCHEMA)
    manager = ConnectionManager(load_settings(None), {"local": adapter})
    bridge = AuthBridge(_SECRET, settings=manager.settings)
    app = Flask("isthmus")
    flask_scope.init_app(app, manager)
    middleware.init_app(app, bridge)

    @app.post(_RULE)
    @jwt_required
    def count_up(key: str) -> ResponseReturnValue:
        item = manager.get(items.name, key) or {}
        quantity = item["quantity"] + 1
        manager.run(Update(items.name, {"quantity": quantity}, id=key, returning=False))
        return {"id": key, "quantity": quantity}

    yield _counting(app, bridge.generate_token(new_id()))
    manager.disconnect()


@contextmanager
def _records_api(folder: Path) -> Iterator[Call]:
    """The complete application; its caller has signed up and changes one of their own records."""
    files = {"local_db_path": f"{folder}/records.db", "instance_path": folder}
    app = create_app(load_settings(None, jwt_secret=_SECRET, local_db_synchronous="normal", **files))
    account = {"email": "bench@example.org", "password": secrets.token_hex()}
    signed_up = caller(app, "/auth/register", method="POST", body=lambda: orjson.dumps(account), expected="201 CREATED")
    token = orjson.loads(signed_up())["access_token"]
    names = count()

    def renamed() -> bytes:
        return orjson.dumps({"name": f"water {next(names)}"})

    made = caller(app, _RECORDS_PATH, method="POST", token=token, body=renamed, expected="201 CREATED")
    key = orjson.loads(made())["id"]
    call = caller(app, f"{_RECORDS_PATH}/{key}", method="PATCH", token=token, body=renamed)
    assert orjson.loads(call())["name"] != orjson.loads(call())["name"]
    yield call
    Isthmus.of(app).manager.disconnect()


@contextmanager
def _peer(path: Path) -> Iterator[Call]:
    app = Flask("peer")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
    app.config["JWT_SECRET_KEY"] = _SECRET
    JWTManager(app)
    database = SQLAlchemy(app)

    class Item(database.Model):  # type: ignore[name-defined]  # created with the extension
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
        engine = database.engine
        sa.event.listen(engine, "connect", lambda connection, _: _set_up(connection))
        token = create_access_token(identity=new_id(), expires_delta=timedelta(days=1))
    yield _counting(app, token)
    engine.dispose()


def _counting(app: Flask, token: str) -> Call:
    """The request, after a check that it works."""
    call = caller(app, _PATH, method="POST", token=token)
    first, second = (orjson.loads(call())["quantity"] for _ in range(2))
    assert second == first + 1
    return call


def _file(folder: Path, plan: Plan) -> Path:
    """A separate database for every contender."""
    path = folder / f"{new_id()}.db"
    create(f"sqlite:///{path}", plan)
    return path


def _set_up(connection: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"pragma {pragma}")

"""The routes of Convergence's storage: reinforcement-learning data, experiments and runs.

Every response is ``{"success": bool, "data": any, "error": str}``. An error has the status and the members of a problem
document besides, so that a client may look at either.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from inspect import Parameter
from inspect import signature
from typing import Any
from typing import Final

from flask import Blueprint
from flask import Flask
from flask import Response
from flask import current_app
from flask import jsonify
from flask import request
from flask.typing import ResponseReturnValue

from api.http import preconditions
from api.http.bodies import read_object
from api.http.idempotency import idempotent
from api.http.parameters import number_of
from api.http.parameters import refuse_parameters
from api.http.parameters import single_parameters
from api.http.problem import MIMETYPE
from api.http.responses import empty
from api.record_stores import declared_store
from api.record_stores import on_records
from api.record_stores import set_up
from api.storage.routes import KeyConverter
from config.settings import Settings
from database import ConnectionManager
from database import InvalidQuery
from database import Schema
from database import transactional
from database.resilience.repetition import ATTEMPTS
from storage import Entry
from storage import Stores
from stores import Experiments
from stores import RecordStoreDeclaration

PREFIX: Final = "/api/convergence/storage"
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500

blueprint = Blueprint("experiments", __name__, url_prefix=PREFIX)


def init_app(app: Flask, manager: ConnectionManager, settings: Settings, schema: Schema, stores: Stores) -> None:
    """Add the routes to ``app``, if the application declares experiments.

    :raises ConfigurationError: if they are not declared as they must be.
    """

    def make(declaration: RecordStoreDeclaration) -> Experiments:
        return Experiments.on_tables(manager, declared_store(stores, blueprint.name, declaration.general))

    # Before the routes, whose rules use it.
    app.url_map.converters["key"] = KeyConverter
    set_up(app, settings, schema, blueprint, make)


permitted = partial(on_records, blueprint.name)


@blueprint.after_request
def answer_as_documented(response: Response) -> Response:
    """Add ``success``, ``data`` and ``error`` to a problem document."""
    if response.mimetype == MIMETYPE:
        problem = response.get_json()
        reason = f"{HTTPStatus(response.status_code).phrase}: {problem.get('detail', problem['title'])}"
        response.set_data(current_app.json.dumps({"success": False, "data": None, "error": reason, **problem}))
    return response


@blueprint.post("/rl-data")
@transactional(attempts=ATTEMPTS)
@permitted("read", "write")
@idempotent
def save_rl_data(experiments: Experiments) -> ResponseReturnValue:
    """Store reinforcement-learning data, replacing what is under its key."""
    fields = _fields(experiments.save_rl_data)
    return _stored(experiments, fields, "rl_key", "", experiments.save_rl_data)


@blueprint.post("/experiments")
@transactional(attempts=ATTEMPTS)
@permitted("read", "write")
@idempotent
def save_experiment(experiments: Experiments) -> ResponseReturnValue:
    """Store the result of an experiment, replacing the one with its id."""
    fields = _fields(experiments.save_experiment)
    return _stored(experiments, fields, "experiment_id", "experiment:", experiments.save_experiment)


@blueprint.post("/runs")
@transactional(attempts=ATTEMPTS)
@permitted("read", "write")
@idempotent
def save_run(experiments: Experiments) -> ResponseReturnValue:
    """Start a run, or complete it if ``status`` is ``completed``."""
    body = read_object()
    status = body.get("status", "started")
    if status == "completed":
        fields = _fields(experiments.complete_optimization_run)
        del fields["status"]
        return _stored(experiments, fields, "run_id", "run:", experiments.complete_optimization_run)
    if status != "started":
        raise InvalidQuery("status must be 'started' or 'completed'")
    fields = _fields(experiments.start_optimization_run, also=("status",))
    fields.pop("status", None)
    return _stored(experiments, fields, "run_id", "run:", experiments.start_optimization_run)


@blueprint.get("/rl-data/<key:id_>", defaults={"prefix": ""})
@blueprint.get("/experiments/<key:id_>", defaults={"prefix": "experiment:"})
@blueprint.get("/runs/<key:id_>", defaults={"prefix": "run:"})
@transactional(lazy=True)
@permitted("read")
def read_record(experiments: Experiments, prefix: str, id_: str) -> ResponseReturnValue:
    """Return a record with its ``ETag``; 304 if the client has this version."""
    refuse_parameters(request.args)
    entry = experiments.existing(f"{prefix}{id_}")
    headers = {"ETag": f'"{entry.etag}"'}
    if "If-None-Match" in request.headers and preconditions.is_known(entry.etag):
        return empty(304, headers)
    return jsonify(_answer(entry.value)), headers


@blueprint.get("/keys")
@transactional(lazy=True)
@permitted("read")
def list_keys(experiments: Experiments) -> ResponseReturnValue:
    """Return a page of the keys that begin with ``prefix`` as ``data``, and ``next_cursor``."""
    names = ("prefix", "cursor", "limit")
    refuse_parameters(request.args, allowed=names)
    given = single_parameters(request.args, names)
    limit = number_of("limit", given.get("limit", DEFAULT_LIMIT), MAX_LIMIT)
    keys, cursor = experiments.page(given.get("prefix", ""), cursor=given.get("cursor"), limit=limit)
    return {**_answer(keys), "next_cursor": cursor}


@blueprint.delete("/keys/<key:key>")
@transactional(attempts=ATTEMPTS)
@permitted("read", "delete")
@idempotent
def delete_key(experiments: Experiments, key: str) -> ResponseReturnValue:
    """Delete a record; ``data`` is whether there was one."""
    refuse_parameters(request.args)
    _require(experiments, key)
    return _answer(experiments.delete(key))


def _fields(function: Callable[..., Entry], also: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of the body, as arguments of a function. :raises InvalidQuery: names the first wrong one."""
    refuse_parameters(request.args)
    body = read_object()
    parameters = signature(function).parameters.values()
    required = [one.name for one in parameters if one.kind is not Parameter.VAR_KEYWORD]
    if missing := [name for name in required if name not in body]:
        raise InvalidQuery(f"the body needs the member {missing[0]!r}")
    open_ = any(one.kind is Parameter.VAR_KEYWORD for one in parameters)
    if not open_ and (unknown := body.keys() - {*required, *also}):
        raise InvalidQuery(f"the member {min(unknown)[:64]!r} is not allowed here; use {', '.join(required)}")
    return body


def _stored(
    experiments: Experiments, fields: Mapping[str, Any], id_: str, prefix: str, function: Callable[..., Entry]
) -> ResponseReturnValue:
    _require(experiments, f"{prefix}{fields[id_]}")
    entry = function(**fields)
    return jsonify(_answer({"key": entry.key})), {"ETag": f'"{entry.etag}"'}


def _require(experiments: Experiments, key: str) -> None:
    """Check the preconditions of the request. :raises PreconditionFailed: if one is false."""
    if preconditions.is_conditional():
        entry = experiments.entry(key)
        preconditions.require(None if entry is None else entry.etag, exists=entry is not None)


def _answer(data: Any) -> dict[str, Any]:
    return {"success": True, "data": data, "error": None}

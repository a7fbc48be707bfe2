"""The routes of agents: ``/api/agents/<agent>/states/<state>``, ``/api/agents/<agent>/tasks/<task>``,
``/api/conversations/<conversation>`` and ``/api/cases/<case>/transactions``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from typing import Final

from flask import Blueprint
from flask import Flask
from flask import jsonify
from flask import request
from flask import url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from api.agents.histories import read_history
from api.http import preconditions
from api.http.bodies import MAX_ROWS
from api.http.bodies import read_json
from api.http.bodies import read_object
from api.http.idempotency import idempotent
from api.http.parameters import refuse_parameters
from api.http.responses import empty
from api.record_stores import on_records
from api.record_stores import set_up
from config.settings import Settings
from database import ConnectionManager
from database import NotFound
from database import Schema
from database import transactional
from database.resilience.repetition import ATTEMPTS
from stores import DatabaseClient
from stores import etag_of

_HIDDEN: Final = ("agents", "cases", "conversations")

blueprint = Blueprint("agents", __name__, url_prefix="/api")
on_agents = partial(on_records, blueprint.name, texts=("agent", "id_", "conversation", "case"))

_GET: Final = {"state": DatabaseClient.get_state, "task": DatabaseClient.get_task}
_SAVE: Final = {"state": DatabaseClient.save_state, "task": DatabaseClient.save_task}
_DELETE: Final = {"state": DatabaseClient.delete_state, "task": DatabaseClient.delete_task}


def init_app(app: Flask, manager: ConnectionManager, settings: Settings, schema: Schema) -> None:
    """Add the routes of agents to ``app``, if the application declares them.

    :raises ConfigurationError: if they are not declared as they must be, and for a declared table whose routes these
        would hide.
    """
    set_up(app, settings, schema, blueprint, lambda _: DatabaseClient(manager), hides=_HIDDEN)


@blueprint.get("/agents/<agent>/states/<id_>", defaults={"kind": "state"})
@blueprint.get("/agents/<agent>/tasks/<id_>", defaults={"kind": "task"})
@transactional(lazy=True)
@on_agents("read")
def read_value(client: DatabaseClient, agent: str, kind: str, id_: str) -> ResponseReturnValue:
    """Return a state or a task with its ``ETag``; 304 if the client has it."""
    refuse_parameters(request.args)
    value = _GET[kind](client, agent, id_)
    tag = _existing(value, kind)
    if "If-None-Match" in request.headers and preconditions.is_known(tag):
        return empty(304, _tagged(tag))
    return jsonify(value), _tagged(tag)


@blueprint.put("/agents/<agent>/states/<id_>", defaults={"kind": "state"})
@blueprint.put("/agents/<agent>/tasks/<id_>", defaults={"kind": "task"})
@transactional(attempts=ATTEMPTS)
@on_agents("write")
@idempotent
def put_value(client: DatabaseClient, agent: str, kind: str, id_: str) -> ResponseReturnValue:
    """Store a state or a task, replacing the present one; 201 if there was none."""
    refuse_parameters(request.args)
    value, present = read_object(), _GET[kind](client, agent, id_)
    preconditions.require(None if present is None else etag_of(present), exists=present is not None, what=kind)
    _SAVE[kind](client, agent, id_, value)
    headers = _tagged(etag_of(value))
    if present is not None:
        return jsonify(value), headers
    return jsonify(value), 201, headers | {"Location": url_for(str(request.endpoint), **(request.view_args or {}))}


@blueprint.delete("/agents/<agent>/states/<id_>", defaults={"kind": "state"})
@blueprint.delete("/agents/<agent>/tasks/<id_>", defaults={"kind": "task"})
@transactional(attempts=ATTEMPTS)
@on_agents("delete")
@idempotent
def delete_value(client: DatabaseClient, agent: str, kind: str, id_: str) -> ResponseReturnValue:
    """Delete a state or a task."""
    refuse_parameters(request.args)
    if preconditions.is_conditional():
        preconditions.require(_existing(_GET[kind](client, agent, id_), kind), exists=True, what=kind)
    if not _DELETE[kind](client, agent, id_):
        raise _missing(kind)
    return empty(204)


@blueprint.get("/conversations/<conversation>")
@transactional(lazy=True)
@on_agents("read")
def read_conversation(client: DatabaseClient, conversation: str) -> ResponseReturnValue:
    """Return a page of messages in their order; without any if there is no such conversation."""
    return read_history(partial(client.conversation_page, conversation))


@blueprint.post("/conversations/<conversation>")
@transactional(attempts=ATTEMPTS)
@on_agents("write")
@idempotent
def add_message(client: DatabaseClient, conversation: str) -> ResponseReturnValue:
    """Add a message to a conversation."""
    refuse_parameters(request.args)
    message = read_object()
    client.save_conversation(conversation, message)
    return jsonify(message), 201


@blueprint.delete("/conversations/<conversation>")
@transactional(attempts=ATTEMPTS)
@on_agents("delete")
@idempotent
def delete_conversation(client: DatabaseClient, conversation: str) -> ResponseReturnValue:
    """Delete a conversation."""
    return _delete_all(partial(client.delete_conversation, conversation), "conversation")


@blueprint.get("/cases/<case>/transactions")
@transactional(lazy=True)
@on_agents("read")
def read_transactions(client: DatabaseClient, case: str) -> ResponseReturnValue:
    """Return a page of transactions in their order; without any if there is no such case."""
    return read_history(partial(client.transactions_page, case))


@blueprint.post("/cases/<case>/transactions")
@transactional(attempts=ATTEMPTS)
@on_agents("write")
@idempotent
def save_transactions(client: DatabaseClient, case: str) -> ResponseReturnValue:
    """Store the transactions of a list, or one transaction: all of them, or none if one is invalid."""
    refuse_parameters(request.args)
    body = read_json()
    transactions = body if isinstance(body, list) else [body]
    if len(transactions) > MAX_ROWS:
        raise BadRequest(f"The body must have at most {MAX_ROWS} transactions")
    return {"data": client.put_transactions(case, transactions)}, 201


@blueprint.delete("/cases/<case>/transactions")
@transactional(attempts=ATTEMPTS)
@on_agents("delete")
@idempotent
def delete_transactions(client: DatabaseClient, case: str) -> ResponseReturnValue:
    """Delete the transactions of a case."""
    return _delete_all(partial(client.delete_transactions, case), "case")


def _delete_all(delete: Callable[[], int], what: str) -> ResponseReturnValue:
    refuse_parameters(request.args)
    if not delete():
        raise _missing(what)
    return empty(204)


def _existing(value: dict[str, Any] | None, what: str) -> str:
    """The tag of a value. :raises NotFound: if there is none."""
    if value is None:
        raise _missing(what)
    return etag_of(value)


def _tagged(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"'}


def _missing(what: str) -> NotFound:
    return NotFound(f"there is no {what} with this id")

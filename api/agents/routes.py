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

from api.agents.guarded import on_agents
from api.agents.histories import read_history
from api.http import preconditions
from api.http.bodies import MAX_ROWS
from api.http.bodies import read_json
from api.http.bodies import read_object
from api.http.idempotency import idempotent
from api.http.parameters import refuse_parameters
from api.http.responses import empty
from api.records.table_access import refuse_hidden
from config.settings import Settings
from database import ConnectionManager
from database import Isthmus
from database import NotFound
from database import Schema
from database import transactional
from database.resilience.repetition import ATTEMPTS
from stores import AgentPart
from stores import DatabaseClient
from stores import etag_of
from stores.declaration import declared_in

_NAME: Final = "agents"
_HIDDEN: Final = ("agents", "cases", "conversations")

blueprint = Blueprint(_NAME, __name__, url_prefix="/api")


def init_app(app: Flask, manager: ConnectionManager, settings: Settings, schema: Schema) -> None:
    """Add the routes of agents to ``app``, if the application declares them.

    :raises ConfigurationError: if they are not declared as they must be, and for a declared table whose routes these
        would hide.
    """
    declaration = declared_in(settings.application_package).get(_NAME)
    if declaration is None:
        return
    for name in _HIDDEN:
        refuse_hidden(schema, name, "agents", "take agents out of RECORD_STORES")
    Isthmus.of(app)[AgentPart] = AgentPart(DatabaseClient(manager, schema), declaration.grants(_NAME))
    app.register_blueprint(blueprint)


@blueprint.get("/agents/<agent>/states/<state>")
@transactional(lazy=True)
@on_agents("read")
def read_state(client: DatabaseClient, agent: str, state: str) -> ResponseReturnValue:
    """Return a state with its ``ETag``; 304 if the client has it."""
    return _read(client.get_state(agent, state), "state")


@blueprint.put("/agents/<agent>/states/<state>")
@transactional(attempts=ATTEMPTS)
@on_agents("write")
@idempotent
def put_state(client: DatabaseClient, agent: str, state: str) -> ResponseReturnValue:
    """Store a state, replacing the present one; 201 if there was none."""
    return _put(partial(client.get_state, agent, state), partial(client.save_state, agent, state), "state")


@blueprint.delete("/agents/<agent>/states/<state>")
@transactional(attempts=ATTEMPTS)
@on_agents("delete")
@idempotent
def delete_state(client: DatabaseClient, agent: str, state: str) -> ResponseReturnValue:
    """Delete a state."""
    return _delete(partial(client.get_state, agent, state), partial(client.delete_state, agent, state), "state")


@blueprint.get("/agents/<agent>/tasks/<task>")
@transactional(lazy=True)
@on_agents("read")
def read_task(client: DatabaseClient, agent: str, task: str) -> ResponseReturnValue:
    """Return a task with its ``ETag``; 304 if the client has it."""
    return _read(client.get_task(agent, task), "task")


@blueprint.put("/agents/<agent>/tasks/<task>")
@transactional(attempts=ATTEMPTS)
@on_agents("write")
@idempotent
def put_task(client: DatabaseClient, agent: str, task: str) -> ResponseReturnValue:
    """Store a task, replacing the present one; 201 if there was none."""
    return _put(partial(client.get_task, agent, task), partial(client.save_task, agent, task), "task")


@blueprint.delete("/agents/<agent>/tasks/<task>")
@transactional(attempts=ATTEMPTS)
@on_agents("delete")
@idempotent
def delete_task(client: DatabaseClient, agent: str, task: str) -> ResponseReturnValue:
    """Delete a task."""
    return _delete(partial(client.get_task, agent, task), partial(client.delete_task, agent, task), "task")


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


def _read(value: dict[str, Any] | None, what: str) -> ResponseReturnValue:
    refuse_parameters(request.args)
    tag = _existing(value, what)
    if "If-None-Match" in request.headers and preconditions.is_known(tag):
        return empty(304, _tagged(tag))
    return jsonify(value), _tagged(tag)


def _put(
    get: Callable[[], dict[str, Any] | None], save: Callable[[dict[str, Any]], None], what: str
) -> ResponseReturnValue:
    refuse_parameters(request.args)
    value = read_object()
    present = get()
    preconditions.require(None if present is None else etag_of(present), exists=present is not None, what=what)
    save(value)
    if present is not None:
        return jsonify(value), _tagged(etag_of(value))
    return (
        jsonify(value),
        201,
        {**_tagged(etag_of(value)), "Location": url_for(str(request.endpoint), **(request.view_args or {}))},
    )


def _delete(get: Callable[[], dict[str, Any] | None], delete: Callable[[], bool], what: str) -> ResponseReturnValue:
    refuse_parameters(request.args)
    if preconditions.is_conditional():
        preconditions.require(_existing(get(), what), exists=True, what=what)
    if not delete():
        raise _missing(what)
    return empty(204)


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

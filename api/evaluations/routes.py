"""The routes ``/api/evaluations``, ``/api/evaluations/<id>``, and what belongs to an evaluation below these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from typing import Final

from flask import Blueprint
from flask import Flask
from flask import request
from flask import url_for
from flask.typing import ResponseReturnValue

from api.evaluations import PREFIX
from api.evaluations import outputs
from api.evaluations.answers import answer
from api.evaluations.answers import existing
from api.evaluations.answers import expected_etag
from api.evaluations.answers import missing
from api.evaluations.answers import tagged
from api.evaluations.guarded import NAME
from api.evaluations.guarded import on_evaluations
from api.evaluations.live import follow
from api.evaluations.reading import FILTERS
from api.evaluations.reading import PAGE
from api.evaluations.reading import filters_of
from api.evaluations.reading import page_of
from api.evaluations.reading import read_members
from api.evaluations.reading import read_parameters
from api.evaluations.watch import Watch
from api.http import preconditions
from api.http.idempotency import idempotent
from api.http.live import MEDIA_TYPE
from api.http.live import last_event_id
from api.http.responses import empty
from api.record_stores import declared_store
from api.record_stores import set_up
from config.settings import Settings
from database import ConnectionManager
from database import InvalidQuery
from database import Isthmus
from database import Schema
from database import current_isthmus
from database import transactional
from database.core.tables.keys import text_address
from database.core.tables.schema import new_id
from database.resilience.repetition import ATTEMPTS
from storage import Stores
from stores import Evaluation
from stores import EvaluationEvent
from stores import EvaluationMetric
from stores import Evaluations
from stores import EvaluationsInTables
from stores import RecordStoreDeclaration

_UNREACHABLE: Final = (".", "..", "statistics")
"""Ids that an evaluation cannot be reached by: clients resolve the first two, and the other one is a route."""

blueprint = Blueprint(NAME, __name__, url_prefix=PREFIX)
blueprint.register_blueprint(outputs.blueprint)


def init_app(app: Flask, manager: ConnectionManager, settings: Settings, schema: Schema, stores: Stores) -> None:
    """Add the routes of evaluations to ``app``, if the application declares them.

    :raises ConfigurationError: if they are not declared as they must be, and for a declared table whose routes these
        would hide.
    """

    def make(declaration: RecordStoreDeclaration) -> Evaluations:
        return Evaluations(EvaluationsInTables(manager), declared_store(stores, NAME, declaration.blobs))

    if set_up(app, settings, schema, blueprint, make, hides=(NAME,)):
        Isthmus.of(app)[Watch] = Watch(manager)


@blueprint.get("")
@transactional(lazy=True)
@on_evaluations("read")
def list_evaluations(evaluations: Evaluations) -> ResponseReturnValue:
    """Return a page of evaluations, the newest first, without their codes and outputs."""
    given = read_parameters(*FILTERS, *PAGE, "count")
    filters = filters_of(given)
    if given.get("count", "exact") != "exact":
        raise InvalidQuery("count must be exact, or left out")
    page = evaluations.page(**filters, **page_of(given))
    listed: dict[str, Any] = {"data": [_head(one) for one in page.evaluations], "next_cursor": page.next_cursor}
    if "count" in given:
        listed["count"] = evaluations.count(**filters)
    return listed


@blueprint.post("")
@transactional(attempts=ATTEMPTS)
@on_evaluations("write")
@idempotent
def create_evaluation(evaluations: Evaluations) -> ResponseReturnValue:
    """Create an evaluation with the status ``queued``."""
    body = read_members("id", "code", "metadata", needed=("code",))
    id_ = body.get("id", new_id())
    if id_ in _UNREACHABLE:
        raise InvalidQuery(f"id must not be {id_!r}: no URL leads to it")
    evaluation = evaluations.create(id_, body["code"], body.get("metadata"))
    location = url_for("evaluations.read_evaluation", id=text_address(id_))
    return evaluation.known(), 201, {"Location": location, **tagged(evaluation)}


@blueprint.get("/statistics")
@transactional(lazy=True)
@on_evaluations("read")
def read_statistics(evaluations: Evaluations) -> ResponseReturnValue:
    """Return numbers about the evaluations that the filters select."""
    return evaluations.statistics(**filters_of(read_parameters(*FILTERS)))


@blueprint.get("/<id>")
@transactional(lazy=True)
@on_evaluations("read")
def read_evaluation(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Return an evaluation with its ``ETag``; 304 if the client has this version."""
    read_parameters()
    if "If-None-Match" in request.headers:
        known = existing(evaluations, id)
        if preconditions.is_known(known.etag):
            return empty(304, tagged(known))
    evaluation = evaluations.get(id)
    if evaluation is None:
        raise missing()
    return answer(evaluation)


@blueprint.patch("/<id>")
@transactional(attempts=ATTEMPTS)
@on_evaluations("write")
@idempotent
def change_evaluation(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Change the status, the output, the error output and the metadata, or some of them."""
    changes = read_members("status", "output", "error", "metadata")
    return answer(evaluations.update(id, **changes, expected=expected_etag(evaluations, id)))


@blueprint.delete("/<id>")
@transactional(attempts=ATTEMPTS)
@on_evaluations("delete")
@idempotent
def delete_evaluation(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Delete an evaluation with its events, metrics and outputs."""
    read_parameters()
    expected_etag(evaluations, id)
    if not evaluations.delete(id):
        raise missing()
    return empty(204)


@blueprint.get("/<id>/events")
@transactional(lazy=True)
@on_evaluations("read")
def list_events(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Return a page of events, the oldest first."""
    page = page_of(read_parameters(*PAGE))
    return _series(evaluations.events(id, after=page["cursor"], limit=page["limit"]), page["limit"])


@blueprint.post("/<id>/events")
@transactional(attempts=ATTEMPTS)
@on_evaluations("write")
@idempotent
def add_event(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Append an event, of the type ``log`` as several if its message is long."""
    body = read_members("event_type", "message", "metadata", needed=("event_type", "message"))
    if body["event_type"] == "log" and "metadata" not in body:
        return {"data": [_shown(event) for event in evaluations.logs(id, body["message"])]}, 201
    return _shown(evaluations.add_event(id, body["event_type"], body["message"], body.get("metadata"))), 201


@blueprint.get("/<id>/metrics")
@transactional(lazy=True)
@on_evaluations("read")
def list_metrics(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Return a page of metrics, the oldest first."""
    given = read_parameters("name", *PAGE)
    page = page_of(given)
    found = evaluations.metrics(id, name=given.get("name"), after=page["cursor"], limit=page["limit"])
    return _series(found, page["limit"])


@blueprint.post("/<id>/metrics")
@transactional(attempts=ATTEMPTS)
@on_evaluations("write")
@idempotent
def record_metric(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Append a metric."""
    body = read_members("metric_name", "metric_value", "unit", needed=("metric_name", "metric_value"))
    metric = evaluations.record_metric(id, body["metric_name"], body["metric_value"], body.get("unit"))
    return _shown(metric), 201


@blueprint.get("/<id>/metrics/aggregates")
@transactional(lazy=True)
@on_evaluations("read")
def read_aggregates(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Return the aggregates of each metric, by its name."""
    read_parameters()
    return evaluations.aggregates(id)


@blueprint.get("/<id>/live")
@transactional(lazy=True)
@on_evaluations("read")
def follow_evaluation(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Return the events as Server-Sent Events, those that come from now on, too, until the evaluation has ended."""
    read_parameters()
    if request.method == "HEAD":
        return empty(200, {"Content-Type": MEDIA_TYPE})
    return follow(evaluations, id, current_isthmus()[Watch], last_event_id())


def _head(evaluation: Evaluation) -> dict[str, Any]:
    known = evaluation.known()
    return {name: value for name, value in known.items() if name not in {"code", "output", "error"}}


def _shown(one: EvaluationEvent | EvaluationMetric) -> dict[str, Any]:
    return asdict(one)


def _series(found: Sequence[EvaluationEvent | EvaluationMetric], limit: int) -> dict[str, Any]:
    """A page of what was appended. Where it may end, the next one begins behind its last id."""
    return {"data": [_shown(one) for one in found], "next_cursor": found[-1].id if len(found) == limit else None}

"""The routes of codes and outputs as bytes, which are sent and received in parts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask import Response
from flask import request
from flask.typing import ResponseReturnValue

from api.evaluations.answers import answer
from api.evaluations.answers import expected_etag
from api.evaluations.answers import tagged
from api.evaluations.guarded import on_evaluations
from api.evaluations.reading import read_parameters
from api.http import preconditions
from api.http.bodies import read_chunks
from api.http.media import HARMLESS
from api.http.media import JSON
from api.http.media import read_media_type
from api.http.media import typed
from api.http.responses import empty
from database import current_database
from database import transactional
from stores import EvaluationOutput
from stores import Evaluations

blueprint = Blueprint("outputs", __name__)


@blueprint.get("/<id>/code")
@transactional(lazy=True)
@on_evaluations("read")
def read_code(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Return the whole code."""
    read_parameters()
    return _whole(evaluations.code(id))


@blueprint.get("/<id>/output")
@transactional(lazy=True)
@on_evaluations("read")
def read_output(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Return the whole output, or error output, in parts that are read while they are sent."""
    return _whole(evaluations.output(id, _kind()))


@blueprint.put("/<id>/output")
@transactional(lazy=True)
@on_evaluations("write")
def put_output(evaluations: Evaluations, id: str) -> ResponseReturnValue:
    """Store the body as the output, or the error output."""
    request.max_content_length = current_database().settings.storage.max_output_bytes
    kind, media_type, expected = _kind(), read_media_type() or JSON, expected_etag(evaluations, id)
    return answer(evaluations.put_output(id, kind, read_chunks(), media_type=media_type, expected=expected))


def _kind() -> Any:
    """Of which two outputs; the evaluations check it."""
    return read_parameters("kind").get("kind", "output")


def _whole(output: EvaluationOutput) -> ResponseReturnValue:
    headers = {**tagged(output), **HARMLESS}
    if preconditions.is_known(output.etag):
        return empty(304, headers)
    response = Response(output.chunks, headers={**headers, **typed(output.media_type)})
    response.content_length = output.size
    return response

"""Evaluations in responses, and the versions of them that requests expect."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from api.http import preconditions
from database import NotFound
from stores import Evaluation
from stores import EvaluationOutput
from stores import Evaluations


def existing(evaluations: Evaluations, id: str) -> Evaluation:
    """The evaluation without its code and outputs. :raises NotFound: if there is none."""
    evaluation = evaluations.head(id)
    if evaluation is None:
        raise missing()
    return evaluation


def missing() -> NotFound:
    """The error for an evaluation that does not exist."""
    return NotFound("there is no evaluation with this id")


def expected_etag(evaluations: Evaluations, id: str) -> str | None:
    """The etag that a change must find, so that the preconditions still hold then; None if there are none.

    :raises PreconditionFailed: if they do not hold now.
    """
    if not preconditions.is_conditional():
        return None
    evaluation = existing(evaluations, id)
    preconditions.require(evaluation.etag, exists=True, what="evaluation")
    return evaluation.etag


def tagged(one: Evaluation | EvaluationOutput) -> dict[str, str]:
    """The header with its version."""
    return {"ETag": f'"{one.etag}"'}


def answer(evaluation: Evaluation) -> ResponseReturnValue:
    """The response with an evaluation."""
    return evaluation.known(), tagged(evaluation)

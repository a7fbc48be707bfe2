"""What requests to evaluations ask for: filters, pages, and the members of bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

import orjson
from flask import request

from api.http.bodies import read_object
from api.http.parameters import number_of
from api.http.parameters import refuse_parameters
from api.http.parameters import single_parameters
from database import InvalidQuery
from database.core.kinds.values import TIMESTAMP

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000

FILTERS: Final = ("status", "text", "since", "until", "metadata")
PAGE: Final = ("limit", "cursor")


def read_parameters(*names: str) -> dict[str, str]:
    """The parameters of the request. :raises InvalidQuery: for a repeated one, and for one without these names."""
    refuse_parameters(request.args, allowed=names)
    return single_parameters(request.args, names)


def filters_of(given: Mapping[str, str]) -> dict[str, Any]:
    """The filters among the parameters. :raises InvalidQuery: names the one that is wrong."""
    filters: dict[str, Any] = {}
    if "status" in given:
        filters["status"] = given["status"].split(",")
    if "text" in given:
        filters["text"] = given["text"]
    for name in ("since", "until"):
        if name in given:
            filters[name] = _time(name, given[name])
    if "metadata" in given:
        filters["metadata"] = _object("metadata", given["metadata"])
    return filters


def page_of(given: Mapping[str, str]) -> dict[str, Any]:
    """The size of a page, and where it begins. :raises InvalidQuery: for a size that no page has."""
    limit = number_of("limit", given.get("limit", DEFAULT_LIMIT), MAX_LIMIT)
    if limit == 0:
        raise InvalidQuery("limit must be at least 1")
    return {"limit": limit, "cursor": given.get("cursor")}


def read_members(*names: str, needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of the body, a JSON object.

    :raises InvalidQuery: for one that is not among ``names``, and if one of ``needed`` is missing; names it.
    """
    refuse_parameters(request.args)
    body = read_object()
    if unknown := body.keys() - set(names):
        raise InvalidQuery(f"{min(unknown)[:64]!r} is not allowed here; use {', '.join(names)}")
    if missing := [name for name in needed if name not in body]:
        raise InvalidQuery(f"{missing[0]!r} is required")
    return body


def _time(name: str, given: str) -> Any:
    try:
        return TIMESTAMP.parse(given)
    except ValueError as error:
        raise InvalidQuery(f"{name} {error}, such as 2026-01-31T12:00:00Z; a plus sign is written %2B") from None


def _object(name: str, given: str) -> dict[str, Any]:
    try:
        value = orjson.loads(given)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidQuery(f'{name} must be a JSON object, such as {{"engine":"docker"}}')
    return value

"""Pages of conversations and transactions, which end before they are a huge response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Final

from flask import current_app
from flask import request

from api.http.parameters import number_of
from api.http.parameters import refuse_parameters
from api.http.parameters import single_parameters
from api.records.pages import LARGER_PORTION
from api.records.pages import MOST_BYTES
from api.records.pages import PORTION
from database import InvalidQuery
from stores import ValuePage

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000

_NAMES: Final = ("cursor", "limit")


def read_history(page: Callable[..., ValuePage]) -> dict[str, Any]:
    """The page that the request asks for: ``{"data": […], "next_cursor": …}``.

    :param page: takes ``limit`` and ``cursor``.
    """
    refuse_parameters(request.args, allowed=_NAMES)
    given = single_parameters(request.args, _NAMES)
    limit = number_of("limit", given.get("limit", DEFAULT_LIMIT), MAX_LIMIT)
    if limit == 0:
        raise InvalidQuery("limit must be at least 1")
    return _collected(page, limit, given.get("cursor"))


def _collected(page: Callable[..., ValuePage], limit: int, cursor: str | None) -> dict[str, Any]:
    data: list[Any] = []
    size, portion = 0, PORTION
    while len(data) < limit and size < MOST_BYTES:
        values, cursor = page(limit=min(portion, limit - len(data)), cursor=cursor)
        data += values
        size += len(current_app.json.dumps(values))
        if cursor is None:
            break
        portion = LARGER_PORTION if size * LARGER_PORTION <= MOST_BYTES * len(data) else PORTION
    return {"data": data, "next_cursor": cursor}

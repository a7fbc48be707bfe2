"""Cursors of listings: the place behind the last evaluation of a page, as opaque text."""

from __future__ import annotations

import base64
from datetime import datetime

import orjson

from database.core.result import Row
from storage.core.errors import StorageKeyError
from stores.evaluations.places.records import Position


def shown_position(row: Row) -> str:
    """The cursor behind an evaluation."""
    return base64.urlsafe_b64encode(orjson.dumps([row["created_at"].isoformat(), row["id"]])).decode()


def position(cursor: str | None) -> Position | None:
    """The place of a cursor. :raises StorageKeyError: if it is none of :func:`shown_position`."""
    if cursor is None:
        return None
    try:
        time, id_ = orjson.loads(base64.urlsafe_b64decode(cursor.encode()))
        created_at = datetime.fromisoformat(time)
        if created_at.tzinfo is not None and isinstance(id_, str):
            return created_at, id_
    except (AttributeError, TypeError, ValueError):
        pass
    raise StorageKeyError("cursor must be the next_cursor of an earlier page")

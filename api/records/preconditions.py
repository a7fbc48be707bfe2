"""Conditional requests (RFC 9110, section 13): a record's version as its entity tag."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import PreconditionFailed

from database import Row


def etag(row: Row) -> dict[str, str]:
    """The header with the record's strong entity tag; none for a table without versions."""
    tag = _tag(row)
    return {} if tag is None else {"ETag": f'"{tag}"'}


def is_conditional() -> bool:
    """Whether the request is to be carried out only for a certain version of the record."""
    return "If-Match" in request.headers or "If-None-Match" in request.headers


def require(row: Row | None) -> None:
    """Check what the request demands of the record, before it is changed.

    :param row: as it is now; None if there is none.
    :raises PreconditionFailed: if it is not as the request demands.
    """
    if "If-Match" in request.headers and not _is_expected(row):
        raise PreconditionFailed("The record does not have the version that If-Match names")
    if "If-None-Match" in request.headers and is_known(row):
        raise PreconditionFailed("There is a record such as If-None-Match excludes")


def is_known(row: Row | None) -> bool:
    """Whether the caller has the record as it is, by its ``If-None-Match``."""
    tags = request.if_none_match
    tag = None if row is None else _tag(row)
    return row is not None and (tags.star_tag or (tag is not None and tags.contains_weak(tag)))


def _is_expected(row: Row | None) -> bool:
    tags = request.if_match
    tag = None if row is None else _tag(row)
    return row is not None and (tags.star_tag or (tag is not None and tags.contains(tag)))


def _tag(row: Row) -> str | None:
    version = row.get("version")
    return None if version is None else str(version)

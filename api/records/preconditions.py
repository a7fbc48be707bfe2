"""Conditional requests (RFC 9110, section 13), with the version of a record as its entity tag."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import PreconditionFailed

from database import Row


def etag(row: Row) -> dict[str, str]:
    """The ``ETag`` header of the record; empty for a table without versions."""
    tag = _tag(row)
    return {} if tag is None else {"ETag": f'"{tag}"'}


def is_conditional() -> bool:
    """Whether the request has ``If-Match`` or ``If-None-Match``."""
    return "If-Match" in request.headers or "If-None-Match" in request.headers


def require(row: Row | None) -> None:
    """Check the preconditions of the request before a change.

    :param row: the present record; None if it does not exist.
    :raises PreconditionFailed: if a precondition is false.
    """
    if "If-Match" in request.headers and not _is_expected(row):
        raise PreconditionFailed("The record does not exist or has another version than If-Match; read it again")
    if "If-None-Match" in request.headers and is_known(row):
        raise PreconditionFailed("The record exists with a version that If-None-Match excludes")


def is_known(row: Row | None) -> bool:
    """Whether ``If-None-Match`` contains the present version of the record."""
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

"""Conditional requests (RFC 9110, section 13). The entity tag of a record is its version, or a digest of it."""

from __future__ import annotations

from hashlib import sha256

from flask import request
from werkzeug.exceptions import PreconditionFailed

from database import Row
from database import TableSchema
from database.sync.canonical_rows import CanonicalRows


def etag(schema: TableSchema, row: Row) -> dict[str, str]:
    """The ``ETag`` header of the record.

    :param row: the whole record, or of a table with versions at least the version.
    """
    tag = _tag(schema, row)
    return {} if tag is None else {"ETag": f'"{tag}"'}


def is_conditional() -> bool:
    """Whether the request has ``If-Match`` or ``If-None-Match``."""
    return "If-Match" in request.headers or "If-None-Match" in request.headers


def require(schema: TableSchema, row: Row | None) -> None:
    """Check the preconditions of the request before a change.

    :param row: the present record; None if it does not exist.
    :raises PreconditionFailed: if a precondition is false.
    """
    if "If-Match" in request.headers and not _is_expected(schema, row):
        raise PreconditionFailed("The record does not exist or has another version than If-Match; read it again")
    if "If-None-Match" in request.headers and is_known(schema, row):
        raise PreconditionFailed("The record exists with a version that If-None-Match excludes")


def is_known(schema: TableSchema, row: Row | None) -> bool:
    """Whether ``If-None-Match`` contains the present version of the record."""
    tags = request.if_none_match
    tag = None if row is None else _tag(schema, row)
    return row is not None and (tags.star_tag or (tag is not None and tags.contains_weak(tag)))


def _is_expected(schema: TableSchema, row: Row | None) -> bool:
    tags = request.if_match
    tag = None if row is None else _tag(schema, row)
    return row is not None and (tags.star_tag or (tag is not None and tags.contains(tag)))


def _tag(schema: TableSchema, row: Row) -> str | None:
    if schema.versioned:
        version = row.get("version")
        return None if version is None else str(version)
    if not row.keys() >= schema.columns.keys():
        # A part of it cannot be read, so nobody can have its tag.
        return None
    return sha256((CanonicalRows(schema).text(row) or "").encode()).hexdigest()[:32]

"""Conditional requests for records. The entity tag of a record is its version, or a digest of it."""

from __future__ import annotations

from hashlib import sha256

from api.http import preconditions
from database import Row
from database import TableSchema
from database.sync.canonical_rows import CanonicalRows


def etag(schema: TableSchema, row: Row) -> dict[str, str]:
    """The ``ETag`` header of the record.

    :param row: the whole record, or of a table with versions at least the version.
    """
    tag = _tag(schema, row)
    return {} if tag is None else {"ETag": f'"{tag}"'}


def require(schema: TableSchema, row: Row | None) -> None:
    """Check the preconditions of the request before a change.

    :param row: the present record; None if it does not exist.
    :raises PreconditionFailed: if a precondition is false.
    """
    preconditions.require(None if row is None else _tag(schema, row), exists=row is not None)


def is_known(schema: TableSchema, row: Row) -> bool:
    """Whether ``If-None-Match`` contains the present version of the record."""
    return preconditions.is_known(_tag(schema, row))


def _tag(schema: TableSchema, row: Row) -> str | None:
    if schema.versioned:
        version = row.get("version")
        return None if version is None else str(version)
    if not row.keys() >= schema.columns.keys():
        # A part of it cannot be read, so nobody can have its tag.
        return None
    return sha256((CanonicalRows(schema).text(row) or "").encode()).hexdigest()[:32]

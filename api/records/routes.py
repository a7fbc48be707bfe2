"""The routes ``/api/<table>`` and ``/api/<table>/<id>``: lists, single records, and versioned changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Blueprint
from flask import Response
from flask import jsonify
from flask import make_response
from flask import request
from flask import url_for
from flask.typing import ResponseReturnValue

from api.http.bodies import read_changes
from api.http.bodies import read_replacement
from api.http.bodies import read_rows
from api.http.idempotency import idempotent
from api.http.parameters import refuse_parameters
from api.http.preconditions import is_conditional
from api.http.responses import empty
from api.records import exports
from api.records import preconditions
from api.records.listing import read_listing
from api.records.listing import read_record_selection
from api.records.listing import with_columns
from api.records.pages import read_page
from api.records.relations import output_of
from api.records.table_access import current_adapter
from api.records.table_access import on_table
from database import Delete
from database import Get
from database import Insert
from database import InvalidQuery
from database import NotFound
from database import Row
from database import TableSchema
from database import Unreadable
from database import Update
from database import after_commit
from database import current_database
from database import transactional
from database.core.clock import utc_now
from database.core.tables.keys import Key
from database.core.tables.keys import key_in_url
from database.core.tables.keys import url_address
from database.core.tables.rows import replacement_values
from database.resilience.repetition import ATTEMPTS

blueprint = Blueprint("records", __name__, url_prefix="/api")


@blueprint.get("/<table>")
@transactional(lazy=True)
@on_table("read")
def list_records(schema: TableSchema) -> ResponseReturnValue:
    """Return a page of records: ``{"data": […], "next_cursor": …}``, and ``count`` if the request asks for it.

    ``unreadable`` lists the records that cannot be read, if there are any. A request that prefers
    ``application/x-ndjson`` gets all records, each in a line.
    """
    whole = exports.is_wanted()
    listing = read_listing(schema, request.args, whole=whole)
    output = output_of(schema, listing.selection)
    if whole:
        return exports.export(listing, output)
    page = read_page(replace(listing, linking=output.needed) if output.joins else listing, current_database().run)
    rows, unreadable = output.complete(page.rows, page.unreadable)
    answer: dict[str, Any] = {
        "data": rows,
        "next_cursor": listing.cursor_behind(page.last) if page.more and page.last is not None else None,
    }
    if listing.count:
        answer["count"] = page.count
    if unreadable:
        answer["unreadable"] = [_unreadable(schema, bad) for bad in unreadable]
    return answer


@blueprint.post("/<table>")
@transactional(attempts=ATTEMPTS)
@on_table("write")
@idempotent
def create_records(schema: TableSchema) -> ResponseReturnValue:
    """Create a record, or all records of a list, or none of them if one is invalid."""
    refuse_parameters(request.args)
    rows, bulk = read_rows(schema)
    created = current_database().run(Insert(schema.name, rows)).rows
    if bulk:
        return _as_stored(lambda: make_response({"data": created}, 201))
    return _created(schema, created[0])


@blueprint.get("/<table>/<record_id>")
@transactional(lazy=True)
@on_table("read")
def read_record(schema: TableSchema, record_id: str) -> ResponseReturnValue:
    """Return one record with its ``ETag``; 304 if the client has this version.

    A record with related rows has no ``ETag``: they change without it.
    """
    output = output_of(schema, read_record_selection(request.args))
    tagged = ["version"] if schema.versioned else [] if output.joins else schema.columns
    fetched = with_columns(output.columns, [*output.needed, *tagged])
    result = current_database().run(Get(schema.name, _key(schema, record_id), fetched))
    row = _existing(schema, result.first)
    headers = {} if output.joins else preconditions.etag(schema, row)
    if not output.joins and "If-None-Match" in request.headers and preconditions.is_known(schema, row):
        return empty(304, headers)
    (shown,), unreadable = output.complete([row], [])
    if unreadable:
        raise unreadable[0].error()
    return jsonify(shown), headers


@blueprint.put("/<table>/<record_id>")
@transactional(attempts=ATTEMPTS)
@on_table("write")
@idempotent
def put_record(schema: TableSchema, record_id: str) -> ResponseReturnValue:
    """Create or replace the record. Columns that are not in the body get their defaults."""
    refuse_parameters(request.args)
    key = key_in_url(schema, record_id)
    body = read_replacement(schema, key)
    current = _read_current(schema, key, for_update=True)
    preconditions.require(schema, current)
    if current is None:
        return _created(schema, current_database().run(Insert(schema.name, [body])).rows[0])
    values = replacement_values(schema, _with_owner(schema, body, current), utc_now())
    if not values:
        return jsonify(current), preconditions.etag(schema, current)
    return _update(schema, Update(schema.name, values, key, expected_version=current.get("version")))


@blueprint.patch("/<table>/<record_id>")
@transactional(attempts=ATTEMPTS)
@on_table("write")
@idempotent
def change_record(schema: TableSchema, record_id: str) -> ResponseReturnValue:
    """Change the columns in the body."""
    refuse_parameters(request.args)
    key = _key(schema, record_id)
    changes = read_changes(schema)
    current = _expected(schema, key, for_update=True)
    return _update(schema, Update(schema.name, changes, key, expected_version=_version(schema, current)))


@blueprint.delete("/<table>/<record_id>")
@transactional(attempts=ATTEMPTS)
@on_table("delete")
@idempotent
def delete_record(schema: TableSchema, record_id: str) -> ResponseReturnValue:
    """Delete the record."""
    refuse_parameters(request.args)
    key = _key(schema, record_id)
    current = _expected(schema, key, for_update=False)
    if not current_database().run(Delete(schema.name, key, expected_version=_version(schema, current))).count:
        raise _missing(schema)
    return empty(204)


def _unreadable(schema: TableSchema, bad: Unreadable) -> dict[str, str | None]:
    """What a list says of a record that cannot be read; of a related one also its table."""
    return bad.shown() if bad.table == schema.name else {"table": bad.table, **bad.shown()}


def _with_owner(schema: TableSchema, body: Row, current: Row) -> Row:
    """The body with the present owner, unless the body names one."""
    owner = schema.rules.owner
    return body if owner is None or owner not in current else {owner: current[owner], **body}


def _created(schema: TableSchema, row: Row) -> ResponseReturnValue:
    location = url_for("records.read_record", table=schema.name, record_id=url_address(schema, row))
    headers = {"Location": location}
    return _as_stored(lambda: make_response(row, 201, headers | preconditions.etag(schema, row)))


def _update(schema: TableSchema, operation: Update) -> ResponseReturnValue:
    row = _existing(schema, current_database().run(operation).first)
    return _as_stored(lambda: make_response(row, preconditions.etag(schema, row)))


def _as_stored(make: Callable[[], Response]) -> Response:
    """The response to a write. It is made again after the commit, where only the commit tells what is stored."""
    response = make()

    def make_again() -> None:
        stored = make()
        response.set_data(stored.get_data())
        response.headers.update(stored.headers)

    if not current_adapter().capabilities.immediate_constraints:
        after_commit(make_again)
    return response


def _key(schema: TableSchema, record_id: str) -> Key:
    """The key in a URL. :raises NotFound: if no record can have it."""
    try:
        return key_in_url(schema, record_id)
    except InvalidQuery:
        raise _missing(schema) from None


def _expected(schema: TableSchema, key: Key, *, for_update: bool) -> Row | None:
    """Check the preconditions; the record that the change must find, or None for a request without preconditions."""
    if not is_conditional():
        return None
    current = _existing(schema, _read_current(schema, key, for_update=for_update))
    preconditions.require(schema, current)
    return current


def _version(schema: TableSchema, current: Row | None) -> int | None:
    return current.get("version") if current is not None and schema.versioned else None


def _read_current(schema: TableSchema, key: Key, *, for_update: bool) -> Row | None:
    """Read the record before a change; of an unreadable record, the readable columns.

    A record without a version must stay as it is until the change. A transaction sees to that itself, unless its
    isolation is less than a snapshot.
    """
    loose = for_update and not schema.versioned and current_adapter().isolation == "read committed"
    result = current_database().run(Get(schema.name, key, lock=loose))
    return dict(result.unreadable[0].values) if result.unreadable else result.first


def _existing(schema: TableSchema, row: Row | None) -> Row:
    if row is None:
        raise _missing(schema)
    return row


def _missing(schema: TableSchema) -> NotFound:
    return NotFound(f"table {schema.name!r} has no record with this id")

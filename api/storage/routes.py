"""The routes ``/api/storage/<store>`` and ``/api/storage/<store>/<key>``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from functools import wraps
from typing import Any
from typing import Final

from flask import Blueprint
from flask import Flask
from flask import request
from flask import url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import BaseConverter

from api.http import preconditions
from api.http.bodies import read_bytes
from api.http.bodies import read_chunks
from api.http.bodies import read_json
from api.http.bodies import read_object
from api.http.idempotency import idempotent
from api.http.media import JSON
from api.http.media import read_media_type
from api.http.parameters import number_of
from api.http.parameters import refuse_parameters
from api.http.parameters import refuse_undecodable
from api.http.parameters import single_parameters
from api.http.responses import empty
from api.records.pages import MOST_BYTES
from api.records.table_access import View
from api.records.table_access import refuse_hidden
from api.records.table_access import require_access
from api.storage import PREFIX
from api.storage import entries
from database import InvalidQuery
from database import NotFound
from database import Schema
from database import current_database
from database import current_isthmus
from database import transactional
from database.core.tables.access_rules import Action
from database.resilience.repetition import ATTEMPTS
from storage import Entry
from storage import StorageNotFoundError
from storage import Store
from storage import Stores

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000

blueprint = Blueprint("storage", __name__, url_prefix=PREFIX)


class KeyConverter(BaseConverter):
    """All that comes behind the name of the store, slashes and line breaks, too."""

    regex = "(?s:.+)"
    part_isolating = False


def init_app(app: Flask, stores: Stores, schema: Schema) -> None:
    """Add the routes of stores to ``app``, if it has any.

    :raises ConfigurationError: for a declared table whose routes these would hide.
    """
    if not stores:
        return
    refuse_hidden(schema, PREFIX.rpartition("/")[2], "the stores", "declare no stores (STORES = {})")
    app.url_map.converters["key"] = KeyConverter
    app.register_blueprint(blueprint)


def on_store(*actions: Action) -> Callable[[View], View]:
    """Replace the route's parameter ``store`` with the store, if the access rules allow the actions. The store enforces
    the rules for single entries.

    :raises NotFound: if the store does not exist, or has no access rules.
    :raises AuthError: if the caller is not signed in, or lacks the role or the permission.
    """

    def resolving(view: View) -> View:
        @wraps(view)
        def resolved(store: str, **values: Any) -> Any:
            stores = current_isthmus()[Stores]
            if store not in stores or not stores.access(store).declared:
                raise NotFound(f"store {store[:64]!r} does not exist")
            refuse_undecodable()
            for action in actions:
                require_access(stores.access(store).of(action))
            return view(stores[store], **values)

        return resolved

    return resolving


@blueprint.get("/<store>")
@transactional(lazy=True)
@on_store("read")
def list_entries(store: Store) -> ResponseReturnValue:
    """Return a page of entries without their values: ``{"data": […], "next_cursor": …}``."""
    names = ("prefix", "cursor", "limit")
    refuse_parameters(request.args, allowed=names)
    given = single_parameters(request.args, names)
    page = store.page(given.get("prefix", ""), cursor=given.get("cursor"), limit=_limit(given))
    return {"data": [entry.known() for entry in page.entries], "next_cursor": page.next_cursor}


@blueprint.get("/<store>/<key:key>")
@transactional(lazy=True)
@on_store("read")
def read_entry(store: Store, key: str) -> ResponseReturnValue:
    """Return the value with its ``ETag``, or the range of it that the request asks for; 304 if the client has it."""
    refuse_parameters(request.args)
    if request.method == "HEAD" or "If-None-Match" in request.headers or store.in_parts:
        # Without the value, which may be large.
        known = _existing(store.head(key))
        if entries.is_known(known):
            return entries.unchanged(known)
        if request.method == "HEAD":
            return entries.head(known)
        if store.in_parts and known.media_type != JSON:
            return entries.streamed(store, known)
    return entries.whole(store.entry(key))


@blueprint.put("/<store>/<key:key>")
@transactional(attempts=ATTEMPTS)
@on_store("read", "write")
def put_entry(store: Store, key: str) -> ResponseReturnValue:
    """Store a value, replacing the present entry; 201 if there was none."""
    # Before the body is read, also by `idempotent`.
    request.max_content_length = current_database().settings.storage.max_body_bytes
    answer: ResponseReturnValue = _put(store=store, key=key)
    return answer


@idempotent
def _put(store: Store, key: str) -> ResponseReturnValue:
    refuse_parameters(request.args)
    write = _writer(store, key)
    present = store.head(key)
    entry = write(**_condition(present))
    headers = {"ETag": f'"{entry.etag}"'}
    if present is not None:
        return entry.known(), headers
    location = url_for("storage.read_entry", store=store.name, key=key)
    return entry.known(), 201, {**headers, "Location": location}


def _writer(store: Store, key: str) -> Callable[..., Entry]:
    """What stores the request's value under a condition, which it gets."""
    media_type, vector = read_media_type(), entries.read_vector()
    options: dict[str, Any] = {"metadata": entries.read_metadata(), "ttl": entries.read_ttl(), "media_type": media_type}
    if store.in_parts and media_type is not None and vector is None:
        # Received while it is stored. No transaction waits for it: such a store joins none.
        return partial(store.upload, key, read_chunks(), **options)
    value = read_json() if media_type is None else read_bytes()
    return partial(store.put, key, value, vector=vector, **options)


@blueprint.delete("/<store>/<key:key>")
@transactional(attempts=ATTEMPTS)
@on_store("read", "delete")
@idempotent
def delete_entry(store: Store, key: str) -> ResponseReturnValue:
    """Delete the entry."""
    refuse_parameters(request.args)
    expected = None
    if preconditions.is_conditional():
        expected = _condition(_existing(store.head(key))).get("expected")
    if not store.delete(key, expected=expected):
        raise _missing()
    return empty(204)


@blueprint.post("/<store>/query")
@transactional(lazy=True)
@on_store("read")
def find_entries(store: Store) -> ResponseReturnValue:
    """Return the entries in which all ``filters`` hold, with their values, in the order of their keys."""
    asked = _asked("filters", "prefix", "cursor", "limit")
    limit = _limit(asked)
    filters, prefix, cursor = asked.get("filters", {}), asked.get("prefix", ""), asked.get("cursor")
    found = store.found(filters, prefix=prefix, after=cursor, at_once=limit)
    data, more = _first(found, limit)
    return {"data": data, "next_cursor": data[-1]["key"] if more else None}


@blueprint.post("/<store>/search")
@transactional(lazy=True)
@on_store("read")
def search_entries(store: Store) -> ResponseReturnValue:
    """Return the entries whose vectors are most similar to ``vector``, the most similar first, with their scores."""
    asked = _asked("vector", "filters", "prefix", "limit")
    vector = entries.checked_vector(asked.get("vector"), "vector")
    prefix, filters = asked.get("prefix", ""), asked.get("filters")
    found = store.search(vector, prefix=prefix, limit=_limit(asked, 10), filters=filters)
    return {"data": [entry.known() | {"value": entry.value, "score": entry.score} for entry in found]}


def _limit(given: dict[str, Any], default: int = DEFAULT_LIMIT) -> int:
    limit = number_of("limit", given.get("limit", default), MAX_LIMIT)
    if limit == 0:
        raise InvalidQuery("limit must be at least 1")
    return limit


def _asked(*names: str) -> dict[str, Any]:
    """The members of the body. :raises InvalidQuery: for another one; names it."""
    refuse_parameters(request.args)
    body = read_object()
    if unknown := body.keys() - set(names):
        raise InvalidQuery(f"{min(unknown)[:64]!r} is not allowed here; use {', '.join(names)}")
    return body


def _condition(present: Entry | None) -> dict[str, Any]:
    """How the change must find the entry, so that the preconditions still hold then.

    :raises PreconditionFailed: if they do not hold now.
    """
    preconditions.require(None if present is None else present.etag, exists=present is not None, what="entry")
    if not preconditions.is_conditional():
        return {}
    return {"if_absent": True} if present is None else {"expected": present.etag}


def _first(found: Iterator[Entry], limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The first entries, fewer than ``limit`` if they are large; and whether there are more."""
    data: list[dict[str, Any]] = []
    size = 0
    for entry in found:
        if len(data) == limit or size >= MOST_BYTES:
            return data, True
        data.append(entry.known() | {"value": entry.value})
        size += entry.size
    return data, False


def _existing(entry: Entry | None) -> Entry:
    if entry is None:
        raise _missing()
    return entry


def _missing() -> StorageNotFoundError:
    return StorageNotFoundError("nothing is stored under this key")

"""The official client, used without its state, so that requests do not affect each other."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from typing import NamedTuple

import httpx
from postgrest import CountMethod
from postgrest import SyncSelectRequestBuilder
from postgrest.base_request_builder import RequestConfig
from postgrest.exceptions import APIError
from supabase import Client
from supabase import ClientOptions

from database.backends.supabase.errors import garbled
from database.backends.supabase.errors import translated
from database.backends.supabase.filters import expression
from database.backends.supabase.keys import ApiKeys
from database.backends.supabase.rows import exact
from database.backends.supabase.rows import quoted_name
from database.backends.supabase.transport import Exchange
from database.backends.supabase.transport import exchange
from database.backends.supabase.transport import http_client
from database.core.context import Context
from database.core.errors import Unavailable
from database.core.query.filters import Filter
from database.core.query.filters import Order

_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A query that a URL can express; its parts are validated.

    :ivar key: a column of the table's key.
    """

    table: str
    columns: Sequence[str]
    where: Filter | None
    order: Sequence[Order]
    limit: int | None = None
    offset: int | None = None
    count: bool = False
    key: str = "id"


class FetchedPage(NamedTuple):
    """The rows as received, and the number of all matching rows if the request asked for it."""

    rows: list[dict[str, Any]]
    total: int | None


class SupabaseClient:
    """One project's API. Each request carries its caller's headers; the official client's own state is not used.

    :param url: the project's URL.
    :param max_connections: maximum number of concurrent connections; 0 for no limit.
    """

    def __init__(self, url: str, keys: ApiKeys, max_connections: int) -> None:
        self.keys = keys
        self.http = http_client(url, max_connections)
        self.auth_url = f"{url.rstrip('/')}/auth/v1"
        options = ClientOptions(
            auto_refresh_token=False, persist_session=False, postgrest_client_retry=False, httpx_client=self.http
        )
        self._rest = Client(url, keys.public, options).postgrest

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    def builder(self, page: PageRequest) -> SyncSelectRequestBuilder:
        """The official request builder for a page; sends nothing."""
        count = CountMethod.exact if page.count else None
        builder = self._rest.from_(page.table).select(*page.columns, count=count)
        if page.where is not None:
            builder = builder.or_(expression(page.where, page.key))
        for key in page.order:
            builder = builder.order(quoted_name(key.column), desc=key.descending, nullsfirst=key.nulls_first)
        if page.limit is not None:
            builder = builder.limit(page.limit)
        return builder.offset(page.offset) if page.offset else builder

    def fetch(self, builder: SyncSelectRequestBuilder, context: Context, *, exactly: bool = False) -> FetchedPage:
        """Send a query and return its rows. :raises DataError: also if the response is not a list of objects.

        :param exactly: parse the rows with :func:`~database.backends.supabase.rows.exact`.
        """
        with self._sending(builder.request, context, writes=False) as answer:
            response = builder.execute()
            rows: Any = _exact(answer) if exactly else _genuine(response.data, answer)
            if type(rows) is not list or not all(type(row) is dict for row in rows):
                raise garbled(answer)
        return FetchedPage(rows, response.count)

    def ask(self, function: str, arguments: Mapping[str, Any], context: Context) -> Any:
        """Call a read-only function; its value is parsed with :func:`~database.backends.supabase.rows.exact`."""
        builder = self._rest.rpc(function, dict(arguments))
        with self._sending(builder.request, context, writes=False, function=function) as answer:
            # The official client raises ValueError for a number of more than 4,300 digits.
            with suppress(ValueError):
                builder.execute()
            return _exact(answer)

    def call(self, function: str, arguments: Mapping[str, Any], context: Context, *, reads: bool = False) -> Any:
        """Call a database function and return its value, any JSON value; None if it returns nothing.

        :param reads: whether the function changes nothing, so that a call whose response was lost may be retried.
        """
        builder = self._rest.rpc(function, dict(arguments))
        with self._sending(builder.request, context, writes=not reads, function=function) as answer:
            response = builder.execute()
            return None if answer.status == _NO_CONTENT else _genuine(response.data, answer)

    @contextmanager
    def _sending(
        self, request: RequestConfig[httpx.Client], context: Context, *, writes: bool, function: str | None = None
    ) -> Iterator[Exchange]:
        """Wrap the sending of one request: set the caller's headers and the deadline, and translate errors."""
        headers = request.headers
        headers.update(self.keys.headers(context.identity))
        # In other time zones the earliest and latest timestamps would fall outside the years that a datetime can have.
        headers["Prefer"] = ",".join(filter(None, (headers.get("Prefer"), "timezone=UTC")))
        with exchange(context.deadline, writes=writes) as answer:
            try:
                yield answer
            except APIError as error:
                raise translated(error, answer, function) from error
            except httpx.DecodingError as error:
                raise garbled(answer) from error
            except RuntimeError as error:
                if self.http.is_closed and not answer.status:
                    raise Unavailable("the adapter was disconnected before the request was sent") from error
                raise


def _genuine(data: Any, answer: Exchange) -> Any:
    """The data of a successful response, provided that its body was JSON.

    The official client returns a body that is not JSON as text, and an empty body as an empty list.
    """
    first = answer.body.lstrip()[:1]
    if not first or (isinstance(data, str) and first != b'"'):
        raise garbled(answer)
    return data


def _exact(answer: Exchange) -> Any:
    try:
        return exact(answer.body)
    except ValueError as error:
        raise garbled(answer) from error

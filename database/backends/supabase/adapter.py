"""A Supabase project over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from typing import ClassVar

import httpx

from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.backends.buffered.backend import BufferedBackend
from database.backends.buffered.request import CommitRequest
from database.backends.buffered.request import Encoder
from database.backends.buffered.request import Reservation
from database.backends.buffered.request import Validation
from database.backends.postgres.changes import page
from database.backends.supabase.auth import SupabaseAuth
from database.backends.supabase.client import PageRequest
from database.backends.supabase.client import SupabaseClient
from database.backends.supabase.keys import ApiKeys
from database.backends.supabase.reading import SupabaseReader
from database.backends.supabase.rows import body
from database.backends.supabase.rows import encode
from database.backends.supabase.rows import quoted_name
from database.changes.feed import ReadChanges
from database.changes.subscription import ErrorCallback
from database.changes.subscription import Followed
from database.changes.subscription import Subscription
from database.changes.subscription import Told
from database.core.capabilities import Capabilities
from database.core.context import SERVICE
from database.core.context import Context
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.operations import Call
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import QueryCall
from database.core.operations import Select
from database.core.result import Result
from database.internal_tables import is_own

_COMMIT = "isthmus_commit"
_COMMIT_AS = "isthmus_commit_as"
_CHANGES = "isthmus_changes"
_NUMBERS = "isthmus_numbers"
_CAPABILITIES = Capabilities(
    sql="translated", calls=True, immediate_constraints=False, json_number_types=False, locks=False
)


class SupabaseBackend(BufferedBackend):
    """Reads through PostgREST and commits through a function of the project's database."""

    kind: ClassVar[str] = "supabase_http"
    makes_defaults: ClassVar[bool] = True
    capabilities = _CAPABILITIES
    config_keys = frozenset({"url", "key", "anon_key"})

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._keys = ApiKeys(self.config.get("key"), self.config.get("anon_key"))
        self._url = _checked_url(self.config.get("url"))
        self.capabilities = replace(_CAPABILITIES, row_security=self._keys.row_security, changes=self._keys.has_secret)
        self._encoder = Encoder(self.schema, encode, keys=True)
        self._handlers: dict[type[Operation], Callable[[Any, Context], Result]] = {
            Ping: self._ping,
            Call: self._call_function,
            QueryCall: self._call_function,
            CommitRequest: self._commit,
            Validation: self._commit,
            Reservation: self._reserve,
            ReadChanges: self._read_changes,
        }
        self._connect()

    def transmit(self, operation: Operation, context: Context) -> Result:
        handler = self._handlers.get(type(operation))
        if handler is None:
            raise Unsupported(operation.kind, backend=self.name)
        self._refuse_other_schemas(operation)
        return handler(operation, context)

    def _refuse_other_schemas(self, operation: Operation) -> None:
        """Refuse tables that the functions of the project do not reach."""
        for part in (operation, *getattr(operation, "steps", ())):
            name = getattr(part, "table", "")
            place = self.schema.table(name).source.schema if name in self.schema else None
            if place is not None:
                detail = f"table {name!r} is in the schema {place}; over HTTP only the schema public is served"
                raise Unsupported("schemas", backend=self.name, detail=f"{detail}, so set SUPABASE_DB_HOST")

    def open(self, context: Context) -> None:
        """Nothing to do: each request takes a connection from the pool or opens one."""

    def close(self) -> None:
        self.client.close()
        self._connect()

    def abandon(self) -> None:
        _inherited.append(self.client)

    def describe(self) -> dict[str, Any]:
        by_caller = "by each caller's token, which the project verifies"
        by_service = "none: every call has the service role's rights, so only the application's access rules apply"
        return {"url": self._url, "row_security": by_caller if self._keys.row_security else by_service}

    def refuse_unsupported(self, operation: Operation) -> None:
        self._refuse_other_schemas(operation)
        if isinstance(operation, ReadChanges) and not self._keys.has_secret:
            detail = "the change feed needs the project's secret key; set SUPABASE_KEY to it"
            raise Unsupported("changes", backend=self.name, detail=detail)
        super().refuse_unsupported(operation)

    def _connect(self) -> None:
        self.client = SupabaseClient(self._url, self._keys, self.settings.max_concurrency)
        reader = SupabaseReader(self.schema, self.client)
        self._handlers |= {Get: reader.get, Select: reader.select}

    def _ping(self, _: Ping, context: Context) -> Result:
        table = next((table for table in self.schema if not is_own(table.name) and table.source.schema is None), None)
        if table is None:
            own = Select(next(iter(self.schema)).name, ("id",), limit=1)
            self._handlers[Select](own, context.acting_as(SERVICE))
            return Result()
        page = self.client.builder(
            PageRequest(table.name, [quoted_name(name) for name in table.key], None, (), limit=1)
        )
        self.client.fetch(page, context.acting_as(self._keys.application))
        return Result()

    def _call_function(self, operation: Call, context: Context) -> Result:
        value = self.client.call(operation.function, operation.arguments, context, reads=operation.reads)
        return Result(value=value, returns_rows=False)

    def _read_changes(self, operation: ReadChanges, context: Context) -> Result:
        # The log is read with the application's rights, whoever the caller is.
        arguments = {"after": operation.cursor, "most": operation.limit}
        return Result(value=page(self.client.call(_CHANGES, arguments, context.acting_as(SERVICE), reads=True)))

    def _reserve(self, operation: Reservation, context: Context) -> Result:
        # As the service: whether the caller may insert the records, the commit decides.
        arguments = {"table_name": operation.table, "how_many": operation.count}
        numbers = self.client.call(_NUMBERS, arguments, context.acting_as(SERVICE), reads=operation.reads)
        if not isinstance(numbers, list) or len(numbers) != operation.count:
            raise Unavailable(f"the function {_NUMBERS} returned something else than {operation.count} numbers")
        return Result(value=list(map(int, numbers)))

    def _commit(self, operation: CommitRequest, context: Context) -> Result:
        # The service states whose each part is; otherwise all is whoever's that sends it.
        stated = len(operation.parties) > 1 or self._vouches(operation)
        actor = None if context.identity is None else context.identity.subject
        request = self._encoder.commit(operation, actor, stated=stated)
        function = _COMMIT
        if stated:
            # A separate function, because an older isthmus_commit would ignore the parties and write all with the
            # application's rights.
            request["parties"] = [self._keys.party(identity) for identity in operation.parties]
            function, context = _COMMIT_AS, context.acting_as(SERVICE)
        answer = self.client.call(function, {"request": body(request)}, context, reads=operation.reads)
        # Functions of an older version do not tell.
        return Result((answer or {}).get("rewritten", []))

    def _vouches(self, operation: CommitRequest) -> bool:
        """Whether the service has to vouch for a caller's keys: that the database has made them, which always does.

        A caller who sent them could have made them up.
        """
        tables = {step.table for step in operation.steps if step.made}
        return any(self.schema.table(name).always_numbered for name in tables) and self._keys.row_security


class SupabaseAdapter(DatabaseAdapter):
    """Config: the project's ``url``, its API ``key`` (secret or publishable), and ``anon_key``, the publishable key if
    ``key`` is the secret one.

    With a publishable key each user's calls carry the user's token and row level security applies; the application's
    own calls need a secret key. With only a secret key all calls have the service role's rights, and only the
    application's access rules protect the rows.

    :raises ValueError: if the URL or a key is missing or of the wrong kind.
    """

    backend_class = SupabaseBackend
    backend: SupabaseBackend

    def auth(self) -> SupabaseAuth:
        """Sign-in and sign-up with the project's own users."""
        self.opened()
        return SupabaseAuth(self.backend.client, self.settings.timeout)

    def subscribe(
        self, query: Followed[Told], callback: Callable[[Told], object], on_error: ErrorCallback | None = None
    ) -> Subscription:
        self.backend.refuse_unsupported(ReadChanges(None, 1))
        return super().subscribe(query, callback, on_error)


_inherited: list[SupabaseClient] = []
"""Clients inherited by a forked child; kept referenced, so that no finalizer closes the parent's connections."""


def _checked_url(url: Any) -> str:
    try:
        parsed = httpx.URL(url or "")
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise ValueError("SUPABASE_URL must be the project's URL, such as https://<project>.supabase.co")
    return str(parsed).rstrip("/")

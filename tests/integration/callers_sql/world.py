"""A database with rows that are not for everybody, and the ways in which SQL text comes to it in a caller's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from functools import partial
from itertools import product
from typing import Any
from typing import Final
from typing import Literal
from typing import NamedTuple

import orjson
import psycopg
import sqlalchemy as sa
from flask import jsonify
from flask import request

from auth.bridge import AuthBridge
from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.columns import OWN_ROWS
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text
from database.core.context import ANONYMOUS
from database.core.context import NO_CONTEXT
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import DataError
from database.core.errors import Unsupported
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.tables.schema import Schema
from database.declared import declared_schema
from database.extension import Isthmus
from database.extension import current_database
from database.schema.migrations import own_schema
from database.schema.migrations import row_security
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import bearer
from tests.servers.postgres import PostgresDatabase

ADA: Final = "0198c5d2-0000-7000-8000-00000000000a"
BOB: Final = "0198c5d2-0000-7000-8000-00000000000b"
CANARY: Final = "canary-7f3a"
OTHER: Final = "0"

Method = Literal["GET", "POST"] | None
Within = Literal["", "transaction", "batch"]
Others = Literal["as they are", "different", "none"]
"""What there is of rows that are not for Ada: as at first, as many with other contents, or none."""

metadata = table_metadata()
for _schema in declared_schema():
    _schema.source.to_metadata(metadata)
metadata.tables["molecules"].info["access"] = {"read": "anyone", "write": "user", "delete": "user"}
sa.Table("secrets", metadata, *record_columns(), sa.Column("name", text()), info={"access": {}})
sa.Table(
    "letters",
    metadata,
    *record_columns(),
    sa.Column("owner_id", text(), nullable=False),
    sa.Column("name", text()),
    info={"access": OWN_ROWS, "owner": "owner_id"},
)
SCHEMA: Final = Schema.of(metadata)

MOLECULES: Final = [{"id": "m1", "name": "water"}, {"id": "m2", "name": "ice"}]
_LETTER: Final = {"id": "a1", "owner_id": ADA, "name": "mine"}
_THEN: Final = "2020-01-01T00:00:00.000000Z"
_STAMP: Final = {"created_at": _THEN, "updated_at": _THEN, "version": 1}

_LEAK: Final = "security definer as 'select name from secrets limit 1'"
FUNCTIONS: Final = "; ".join(
    f"create function {signature} returns text language sql {_LEAK}"
    for signature in (
        "leak()", "molecule_leak(molecules)", "title(molecules)", "any_leak(anyelement)", "len(text)",
        "nvl(text, text)", '"Lower"(text)', "uuid(text)", "lcase(text)", "ifnull(text, text)",
    )
) + (
    "; create function row_leak(record) returns text language plpgsql security definer as"
    " 'begin return (select name from secrets limit 1); end'"
)  # fmt: skip
"""What a database's owner may have made: functions that give away what their callers may not read."""

_LEFT: Final = """
select pg_backend_pid()::text, md5(string_agg(name || '=' || setting, ',' order by name)) from pg_settings
union all select current_user::text, session_user::text
union all select coalesce(current_setting('request.jwt.claims', true), ''),
    coalesce(current_setting('request.jwt.claim.sub', true), '')
union all select relname::text, 'temporary' from pg_class where relnamespace = pg_my_temp_schema()
union all select 'lock', objid::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
union all select 'listens', pg_listening_channels()
union all select 'cursor', name from pg_cursors where is_holdable
union all select name, 'prepared' from pg_prepared_statements where from_sql
"""

_INTERNAL: Final[dict[str, list[str]]] = {
    "isthmus_users": ["email", "password_hash", "name", "role"],
    "isthmus_idempotency_keys": ["fingerprint", "body"],
    "isthmus_refresh_tokens": ["session_id", "sealed_successor"],
    "isthmus_sessions": ["user_id", "end_reason"],
}
_TIMES: Final = {"last_used_at", "expires_at"}


def prepare(database: PostgresDatabase, *, guarded: bool) -> None:
    """Make the tables, with the functions, and with row level security if they are ``guarded``."""
    database.create(metadata)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(FUNCTIONS.encode())
        tables = [one for one in metadata.sorted_tables if not internal_tables.is_own(one.name)]
        tables += own_schema.tables(internal_tables.SCHEMA)[:-1]
        for table in tables if guarded else ():
            for statement in row_security.table_statements(table):
                connection.execute(statement.encode())


@contextmanager
def unguarded(world: World, table: str) -> Iterator[None]:
    """Let the server show a table to everybody, as if nobody had ever closed it there."""
    if not isinstance(world.adapter, PostgresAdapter):
        yield
        return
    config = world.adapter.config
    place = PostgresDatabase(**{one.name: config[one.name] for one in fields(PostgresDatabase)})
    schema, name = internal_tables.SCHEMA, f"{internal_tables.SCHEMA}.{table}"
    place.execute(
        f"alter table {name} disable row level security; grant all on {name} to public;"
        f" grant usage on schema {schema} to public"
    )
    try:
        yield
    finally:
        place.execute(
            f"revoke all on {name} from public; alter table {name} enable row level security;"
            f" revoke all on schema {schema} from public"
        )


class Way(NamedTuple):
    """How a text is asked.

    :ivar identity: of whom; None for nobody in particular.
    :ivar method: of the request; by a call of the adapter otherwise.
    :ivar within: a transaction of its own, a batch, or nothing.
    :ivar bound: whether the strings of the text are given as parameters.
    """

    identity: Identity
    method: Method
    within: Within
    bound: bool

    def __str__(self) -> str:
        parts = (self.identity.role, self.method or "call", self.within, "bound" if self.bound else "")
        return " ".join(filter(None, parts))


SIGNED_IN: Final = Identity(ADA, "authenticated", {"sub": ADA, "app_metadata": {"role": "user"}})
_METHODS: Final[tuple[Method, ...]] = ("POST", None, "GET")
_WITHIN: Final[tuple[Within, ...]] = ("", "transaction", "batch")
WAYS: Final = [
    Way(identity, method, within, bound)
    for identity, method, within, bound in product((SIGNED_IN, ANONYMOUS), _METHODS, _WITHIN, (False, True))
]


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller is told.

    :ivar text: rows, number, or error with its cause.
    :ivar refused: before the database was asked.
    """

    text: str
    refused: bool = False


@dataclass(slots=True)
class World:
    """One database, the application on it, and its rows."""

    adapter: DatabaseAdapter
    site: Site
    headers: dict[str, Headers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bridge: AuthBridge = Isthmus.of(self.site.app)[AuthBridge]
        self.headers = {"authenticated": bearer(bridge.generate_token(ADA, {"role": "user"})), "anon": {}}

    # Rows

    def begin_anew(self, others: Others = "as they are") -> tuple[list[Any], list[Any]]:
        """Ada's rows as at first, and what is not for her as ``others`` says; both as they are then."""
        with as_application():
            for table in ("molecules", "letters", "secrets", *_INTERNAL):
                self.adapter.run(Delete(table, where=Where("id", "is_null", False)))
            # With times of their own, so that answers are the same each time.
            self.adapter.run(Upsert("molecules", [{**row, **_STAMP} for row in MOLECULES], verbatim=True))
            self.adapter.run(Upsert("letters", [{**_LETTER, **_STAMP}], verbatim=True))
            if others != "none":
                self._add(CANARY if others == "as they are" else OTHER)
        return self.hidden(), self.shown()

    def _add(self, secret: str) -> None:
        self.adapter.run(Insert("secrets", [{"id": "s1", "name": secret}]))
        self.adapter.run(
            Insert("letters", [{"id": name, "owner_id": BOB, "name": secret} for name in ("b1", "b2", "b3")])
        )
        for table, columns in _INTERNAL.items():
            times = {name: _THEN for name in _TIMES if name in SCHEMA.table(table).columns}
            self.adapter.run(Insert(table, [{"id": "i1", **dict.fromkeys(columns, secret), **times}]))

    def hidden(self) -> list[Any]:
        """All rows that are not for Ada."""
        with as_application():
            rows = {table: self.adapter.run(Select(table)).rows for table in ("letters", "secrets", *_INTERNAL)}
        rows["letters"] = [row for row in rows["letters"] if row["owner_id"] != ADA]
        return list(rows.items())

    def shown(self) -> list[Any]:
        """All rows that she may read."""
        with as_application():
            letters = self.adapter.run(Select("letters", where=Where("owner_id", "eq", ADA))).rows
            return [self.adapter.run(Select("molecules")).rows, letters]

    # Asking

    def ask(self, text: str, way: Way) -> Told:
        """What ``text`` is answered with, asked in this way; without what differs each time."""
        text, params = with_parameters(text) if way.bound else (text, None)
        return self._call(text, params, way) if way.method is None else self._request(text, params, way)

    def _call(self, text: str, params: list[str] | None, way: Way) -> Told:
        try:
            with acting_as(way.identity):
                return Told(repr(_run(self.adapter, text, params, way.within)))
        except DataError as error:
            return Told(f"{error} {error.__cause__!r}", isinstance(error, Unsupported))

    def _request(self, text: str, params: list[str] | None, way: Way) -> Told:
        asked = {"text": text, "params": params, "within": way.within}
        headers = self.headers[way.identity.role]
        if way.method == "GET":
            answer = self.site.get("/ask", headers, query_string={"asked": orjson.dumps(asked).decode()})
        else:
            answer = self.site.post("/ask", asked, headers)
        # An error of the program, or of the database, would be no refusal.
        assert answer.status_code < 500, (text, str(way), answer.text)
        told = re.sub(r'"urn:uuid:[^"]*"', "", answer.text)
        return Told(f"{answer.status_code} {told}", '"urn:isthmus:problem:unsupported"' in answer.text)

    # The connection

    def left_behind(self) -> list[tuple[Any, ...]]:
        """What a statement could leave on the one connection, and which one that is."""
        if not isinstance(self.adapter, PostgresAdapter):
            return []
        connection = self.adapter.backend._pool.acquire(NO_CONTEXT)
        try:
            return list(connection.execute(_LEFT, prepare=True).fetchall())
        finally:
            self.adapter.backend._pool.release(connection)


def _run(source: Any, text: str, params: Any, within: str) -> Any:
    if within == "batch":
        return source.execute_batch(["select 1 as x", (text, params)])
    with source.transaction() if within else nullcontext():
        return source.execute_query(text, params)


def view() -> Any:
    """Run the SQL text of a request, in the unit of work around it."""
    asked = request.get_json() if request.method == "POST" else orjson.loads(request.args["asked"])
    return jsonify(_run(current_database(), **asked))


def with_parameters(text: str) -> tuple[str, list[str]]:
    """The text with a placeholder for each of its strings, and these."""
    params: list[str] = []
    return re.sub(r"'((?:[^'\\]|'')*)'", partial(_placed, params), text), params


def _placed(params: list[str], match: re.Match[str]) -> str:
    params.append(match[1].replace("''", "'"))
    return "?"

"""A client-side transaction: reads rows, works on a replica of them, and commits in one request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from database import translation
from database.adapter.transactions import Session
from database.adapter.transactions import no_locks
from database.backends.buffered.party import Party
from database.backends.buffered.replica import Place
from database.backends.buffered.request import CommitRequest
from database.backends.buffered.request import Step
from database.backends.buffered.request import Validation
from database.core.context import SERVICE
from database.core.context import Context
from database.core.context import Identity
from database.core.deferred import Deferred
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import TransactionError
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.operations import locks
from database.core.result import Result
from database.core.result import Row
from database.core.tables.access_rules import is_caller
from database.core.tables.keys import Key
from database.core.tables.keys import address
from database.core.tables.keys import checked_key
from database.core.tables.keys import key_of
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.schema import new_id
from database.resilience.stages import Handler


class CallInside(Protocol):
    """How a backend includes a function call in a transaction."""

    def __call__(self, session: BufferedSession, operation: Call, context: Context, /) -> Result:
        """Run the function or defer it. :raises Unsupported: if it cannot be part of a transaction."""


class BufferedSession(Session):
    """Sees each row as it was when first read, plus its own changes, which are invisible to others until the commit.

    The commit validates every record and every query that the session has read. A session that has changed nothing and
    made a single read sends no commit, because that read is consistent by itself.

    Where the backend enforces access itself, each identity sees only the rows that it has read itself, and the commit
    states the identity of every part. Elsewhere all identities share one view, subject to the tables' access rules.

    :param schema: the tables.
    :param send: makes one round trip to the backend: ``Get``, ``Select``, ``Ping``, ``Call`` or :class:`CommitRequest`.
    :param call: executes a function called inside the transaction.
    :param tells_apart: whether the backend enforces access for each caller itself.
    """

    def __init__(
        self,
        schema: Schema,
        send: Handler,
        call: CallInside,
        *,
        tells_apart: bool,
        loads_referrers: bool = False,
        makes_defaults: bool = False,
    ) -> None:
        self._schema = schema
        self._send = send
        self._call = call
        self._tells_apart = tells_apart
        self._options = {"loads_referrers": loads_referrers, "makes_defaults": makes_defaults}
        self._answered: dict[Place, tuple[Row, Identity | None]] = {}
        self._key = new_id()
        self._steps: list[Step] = []
        self._parties: list[Party] = []
        self._points: dict[str, tuple[int, int]] = {}
        self._deferred: list[tuple[Call, Deferred, Identity | None]] = []
        self._joined: dict[str, None] = {}
        self._author: Identity | None = None

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._steps or self._deferred)

    def execute(self, operation: Operation, context: Context) -> Result:
        if locks(operation):
            raise no_locks(None)
        if isinstance(operation, Batch):
            parts = [self.execute(part, context) for part in operation.operations]
            return Result(parts=parts, count=sum(part.count or 0 for part in parts))
        if isinstance(operation, Sql):
            return translation.run_sql(operation, self._schema, lambda part: self.execute(part, context))
        if isinstance(operation, Call):
            return self._call(self, operation, context)
        if isinstance(operation, Ping):
            return self._send(operation, context)
        before = len(self._steps)
        result = self._party(context.identity).execute(operation, context)
        if isinstance(operation, Insert | Upsert | Update):
            self._note_answered(operation.table, result, context.identity)
        if len(self._steps) > before and not is_caller(self._author):
            self._author = context.identity
        return result

    def read(self, operation: Operation, context: Context) -> Result:
        """Send an operation to the backend, bypassing the replica."""
        return self._send(operation, context)

    def defer(self, call: Call, identity: Identity | None) -> Deferred:
        """Run a function at the commit, after all changes of the transaction and the functions deferred earlier.

        :raises TransactionError: if another identity has deferred a function, because the commit has one caller.
        """
        if self._deferred and not _same(self._deferred[0][2], identity):
            raise TransactionError(
                "all functions called in one transaction must have the same caller; another identity has called one"
            )
        answer = Deferred(call.function)
        self._deferred.append((call, answer, identity))
        return answer

    def join(self, call: Call, operation: Operation, context: Context) -> Result:
        """Execute ``operation`` instead of calling a function; the commit names the function."""
        self._joined[call.function] = None
        return self.execute(operation, context)

    def savepoint(self, name: str) -> None:
        self._points[name] = len(self._steps), len(self._deferred)

    def release(self, name: str) -> None:
        del self._points[name]

    def rollback_to(self, name: str) -> None:
        steps, deferred = self._points[name]
        del self._steps[steps:]
        del self._deferred[deferred:]
        for party in self._parties:
            party.undo_removed_steps()

    def commit(self, context: Context) -> None:
        try:
            self.flush(context)
        except ConstraintViolated as error:
            error.row = None  # an index into the transaction's changes, which means nothing to the caller
            raise

    def flush(self, context: Context) -> None:
        """Send the commit; repeated calls reuse the same idempotency key."""
        if not self.changed and sum(party.moments for party in self._parties) <= 1:
            return
        request = self._request()
        answer = self._send(request, replace(context, identity=self._committer(request.parties)))
        for (_, deferred, _), value in zip(self._deferred, answer.value or (), strict=False):
            deferred.settle(value)
        self._complete(answer.rows, context)

    def rollback(self) -> None:
        """Nothing to do: nothing was sent to the backend."""

    def _party(self, identity: Identity | None) -> Party:
        """The caller's party; all callers share one if the backend does not distinguish them."""
        for party in self._parties:
            if not self._tells_apart or _same(party.identity, identity):
                return party
        number = len(self._parties)
        party = Party(self._schema, self._send, identity, self._steps, number, **self._options)
        self._parties.append(party)
        return party

    def _note_answered(self, table: str, result: Result, identity: Identity | None) -> None:
        schema = self._schema.table(table)
        self._answered |= {(table, key_of(schema, row)): (row, identity) for row in result.rows}

    def _complete(self, rewritten: Sequence[Row], context: Context) -> None:
        """Make the rows that were answered what is stored of them, where the backend has stored something else.

        :param rewritten: the tables and addresses of such records.
        """
        places = {(row["table"], checked_key(self._schema.table(row["table"]), row["id"])) for row in rewritten}
        made = {step.table: None for step in self._steps if step.row is not None}
        unfinished = [table for table in made if self._schema.table(table).server_made]
        for place, (row, identity) in self._answered.items():
            schema = self._schema.table(place[0])
            if place in places or (place[0] in unfinished and row.keys() < schema.columns.keys()):
                self._read_again(schema, place[1], row, replace(context, identity=identity))

    def _read_again(self, schema: TableSchema, key: Key, row: Row, context: Context) -> None:
        try:
            found = self._send(Get(schema.name, address(schema, key)), context).rows
        except DataError as error:
            raise OutcomeUnknown(f"the changes were committed, but not read again: {error}") from error
        if found:
            row.clear()
            row.update(found[0])

    def _request(self) -> CommitRequest:
        parties = self._parties
        if sum(party.takes_part for party in parties) < 2:
            parties = [party for party in parties if party.takes_part]
        kind = CommitRequest if self.changed else Validation
        return kind(
            self._key,
            tuple(seen for party in parties for seen in party.seen()),
            tuple(known for party in parties for known in party.ranges),
            tuple(self._steps),
            tuple(call for call, _, _ in self._deferred),
            tuple(party.identity for party in parties),
            tuple(self._joined),
        )

    def _committer(self, parties: tuple[Identity | None, ...]) -> Identity | None:
        """The identity that sends the commit.

        With deferred functions it is their caller. A backend that does not distinguish callers only records the
        author. Otherwise it is the single party, or the service if there are several.
        """
        if self._deferred:
            return self._deferred[0][2]
        if not self._tells_apart:
            return self._author
        return parties[0] if len(parties) == 1 else SERVICE


def _same(one: Identity | None, other: Identity | None) -> bool:
    """Whether a backend treats both identities alike."""
    if one is other or not (is_caller(one) or is_caller(other)):
        return True
    return one is not None and one == other and (one.token, one.claims) == (other.token, other.claims)

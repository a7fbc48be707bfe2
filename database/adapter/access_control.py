"""The declared access rules, applied to every operation of a caller before a backend sees it.

One point above all adapters: whatever a call came through, it passes here, on its own and inside a transaction.
What a caller may do at all is decided by :class:`~database.core.tables.access_rules.Access`; where only own rows are
meant, the operation is narrowed to them, so that a row of somebody else is simply not there.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from typing import NamedTuple
from typing import Protocol

from database import translation
from database.adapter.transactions import Commit
from database.core.capabilities import Capabilities
from database.core.context import Context
from database.core.context import Identity
from database.core.errors import CallerMissing
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import QueryCall
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.core.query.sql_text import SqlDialectName
from database.core.query.validation import check_sql_length
from database.core.result import Result
from database.core.tables.access_rules import Action
from database.core.tables.access_rules import is_caller
from database.core.tables.schema import Schema
from database.resilience.stages import Handler
from database.sql.placeholders import Style
from database.sql.placeholders import bind


class AccessEnforcer(Protocol):
    """What the rules need to know of an adapter."""

    name: str
    schema: Schema

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def sql_dialect(self) -> SqlDialectName:
        """The dialect of its SQL text."""

    def enforces_access(self, operation: Operation) -> bool | None:
        """Whether the backend itself applies rules of its own to a caller's ``operation``."""


_FREE = frozenset({Ping, Commit})
"""Operations that no rule is about."""


class Permitted(NamedTuple):
    """What becomes of a caller's operation, and how the result becomes its answer."""

    operation: Operation
    answer: Callable[[Result], Result] | None = None


class AccessRules:
    """The rules of one adapter's tables.

    :ivar demand_caller: whether a call of which nobody said who asks is refused; else it is the application's own.
    """

    def __init__(self, backend: AccessEnforcer) -> None:
        self.demand_caller = False
        self._backend = backend
        # What all callers of a database role may do with all rows, by operation and table: found out once.
        self._open: set[tuple[type[Operation], str | None, str]] = set()
        self._judges: dict[type[Operation], Callable[[Any, Identity], Permitted]] = {
            Ping: _as_it_is,
            Commit: _as_it_is,
            Get: self._get,
            Select: self._select,
            Insert: self._insert,
            Upsert: self._upsert,
            Update: self._update,
            Delete: self._delete,
            Batch: self._batch,
            Sql: self._sql,
            Call: self._call,
            QueryCall: self._call,
        }

    def enforced(self, handler: Handler) -> Handler:
        """A handler that lets callers do what the rules permit; the application's own calls pass as they are."""

        def enforce(operation: Operation, context: Context) -> Result:
            identity = context.identity
            if not is_caller(identity):
                if identity is None and self.demand_caller:
                    raise CallerMissing(backend=self._backend.name, operation=operation.kind)
                return handler(operation, context)
            # Who may read need not be one who may lock.
            known = (type(operation), getattr(operation, "table", None), identity.role) in self._open
            if known and not getattr(operation, "lock", False):
                return handler(operation, context)
            if type(operation) in _FREE:
                return handler(operation, context)
            permitted, answer = self.permitted(operation, identity)
            result = handler(permitted, context)
            return result if answer is None else answer(result)

        return enforce

    def require_caller(self, context: Context, operation: str) -> None:
        """Do what :meth:`enforced` does first, for what is no single operation. :raises CallerMissing: see there."""
        if context.identity is None and self.demand_caller:
            raise CallerMissing(backend=self._backend.name, operation=operation)

    def permitted(self, operation: Operation, identity: Identity) -> Permitted:
        """A caller's operation within what the rules permit.

        :raises PermissionDenied: if they do not permit it.
        :raises NotFound: for an unknown table.
        :raises Unsupported: for SQL text and functions that can be held to no rules here.
        """
        judge = self._judges.get(type(operation))
        if judge is None:
            raise self._denied(f"{operation.kind} is for the application itself", operation)
        return judge(operation, identity)

    # Operations

    def _get(self, operation: Get, identity: Identity) -> Permitted:
        own = self._own(operation, operation.table, identity, *_needed(operation))
        if own is None:
            return Permitted(operation)
        where = And((Where("id", "eq", operation.id), own))
        return Permitted(Select(operation.table, operation.columns, where, lock=operation.lock))

    def _select(self, operation: Select, identity: Identity) -> Permitted:
        own = self._own(operation, operation.table, identity, *_needed(operation))
        return Permitted(operation if own is None else replace(operation, where=_both(operation.where, own)))

    def _insert(self, operation: Insert, identity: Identity) -> Permitted:
        own = self._own(operation, operation.table, identity, "write")
        return Permitted(operation if own is None else replace(operation, rows=self._owned(operation, own)))

    def _upsert(self, operation: Upsert, identity: Identity) -> Permitted:
        own = self._own(operation, operation.table, identity, "read", "write")
        if own is None:
            return Permitted(operation)
        return Permitted(replace(operation, rows=self._owned(operation, own), same=(*operation.same, own.column)))

    def _update(self, operation: Update, identity: Identity) -> Permitted:
        own = self._own(operation, operation.table, identity, "read", "write")
        if own is None:
            return Permitted(operation)
        if operation.values.get(own.column, own.value) != own.value:
            raise self._denied("a record cannot be given away", operation)
        return Permitted(replace(operation, where=_targeted(operation, own)))

    def _delete(self, operation: Delete, identity: Identity) -> Permitted:
        own = self._own(operation, operation.table, identity, "read", "delete")
        return Permitted(operation if own is None else replace(operation, where=_targeted(operation, own)))

    def _batch(self, operation: Batch, identity: Identity) -> Permitted:
        parts = [self.permitted(part, identity) for part in operation.operations]
        batch = Batch(tuple([part.operation for part in parts]))
        return Permitted(batch, lambda result: _answered(parts, result))

    def _sql(self, operation: Sql, identity: Identity) -> Permitted:
        check_sql_length(operation.text)
        if self._backend.capabilities.sql == "translated":
            translated = translation.translate(operation, self._backend.schema)
            permitted, _ = self.permitted(translated.operation, identity)
            return Permitted(permitted, translated.answer)
        text, values = bind(operation.text, operation.params, Style.QUESTION)
        judged_by_server = self._backend.enforces_access(operation)
        used = translation.uses(text, self._backend.sql_dialect)
        for table, action in used:
            if table not in self._backend.schema:
                raise translation.not_judged(f"{table[:64]!r} is not among the declared tables")
            if not judged_by_server or self._backend.schema.table(table).internal:
                self._require_all_rows(operation, table, action, identity)
        tables = {table: self._backend.schema.table(table).columns for table, _ in used}
        translation.require_known_names(text, self._backend.sql_dialect, tables)
        translation.require_size(text, self._backend.sql_dialect, tables)
        # What was judged is what runs.
        return Permitted(replace(operation, text=text, params=values, limited=True))

    def _call(self, operation: Call, _: Identity) -> Permitted:
        if self._backend.capabilities.calls and not self._backend.enforces_access(operation):
            detail = f"{self._backend.name} runs functions with the rights of the application, which is no caller's"
            raise Unsupported("row_security", backend=self._backend.name, detail=detail)
        return Permitted(operation)

    # Rules

    def _own(self, operation: Operation, table: str, identity: Identity, *actions: Action) -> Where | None:
        """What narrows the table to the caller's own rows; None where all rows are meant."""
        rules = self._backend.schema.table(table).rules
        if not rules.declared:
            self._require_judge(operation, table)
            return None
        asked = [rules.of(action) for action in actions]
        reaches = [access.reach(identity) for access in asked]
        if "no rows" in reaches:
            refused = reaches.index("no rows")
            raise self._denied(f"{actions[refused]} access to table {table!r} is for {asked[refused]}", operation)
        if "own rows" in reaches:
            return Where(rules.owner or "", "eq", identity.subject)
        if all(access.names("anyone", "user") for access in asked):
            self._open.add((type(operation), table, identity.role))
        return None

    def _require_all_rows(self, operation: Sql, table: str, action: Action, identity: Identity) -> None:
        if self._own(operation, table, identity, action) is not None:
            raise translation.not_judged(f"each caller has rows of their own in table {table!r}")

    def _require_judge(self, operation: Operation, table: str) -> None:
        """Leave a table that says nothing of callers to the backend's own rules, where it has any."""
        if not self._backend.enforces_access(operation):
            raise self._denied(f'table {table!r} is closed to callers: it declares no info["access"]', operation)

    def _owned(self, operation: Insert | Upsert, own: Where) -> Sequence[Record]:
        """The rows with their owner, who is the caller."""
        return [self._owned_row(operation, row, own) for row in operation.rows]

    def _owned_row(self, operation: Insert | Upsert, row: Any, own: Where) -> Any:
        if not isinstance(row, Mapping):
            return row  # it is refused with all that is wrong with the rows
        if row.get(own.column, own.value) != own.value:
            raise self._denied("a record cannot be made for somebody else", operation)
        return {**row, own.column: own.value}

    def _denied(self, reason: str, operation: Operation) -> PermissionDenied:
        return PermissionDenied(reason, backend=self._backend.name, operation=operation.kind)


def _as_it_is(operation: Operation, _: Identity) -> Permitted:
    return Permitted(operation)


def _needed(operation: Get | Select) -> tuple[Action, ...]:
    """What a reader must be permitted; a lock keeps others from writing, so it is for those who write."""
    return ("read", "write") if operation.lock else ("read",)


def _both(where: Filter | None, own: Where) -> Filter:
    return own if where is None else And((where, own))


def _targeted(operation: Update | Delete, own: Where) -> Filter | None:
    """The narrowed filter of a change; without an id and a filter it stays refused."""
    return None if operation.id is None and operation.where is None else _both(operation.where, own)


def _answered(parts: Sequence[Permitted], result: Result) -> Result:
    answers = [part if one.answer is None else one.answer(part) for one, part in zip(parts, result.parts, strict=True)]
    return replace(result, parts=answers, count=sum(part.count or 0 for part in answers))

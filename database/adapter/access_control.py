"""The declared access rules, applied to every operation of a caller before a backend sees it.

Every call passes through this point, on its own and inside a transaction.
:class:`~database.core.tables.access_rules.Access` decides what a caller may do; if a rule grants only the caller's own
rows, the operation is narrowed to them, so that it does not find the rows of other users.
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
from database.core.query.targets import key_filter
from database.core.query.validation import check_sql_length
from database.core.result import Result
from database.core.tables.access_rules import Action
from database.core.tables.access_rules import is_caller
from database.core.tables.keys import checked_key
from database.core.tables.schema import Schema
from database.resilience.stages import Handler
from database.sql.texts.placeholders import Style
from database.sql.texts.placeholders import bind


class AccessEnforcer(Protocol):
    """The properties of an adapter that the access rules depend on."""

    name: str
    schema: Schema

    @property
    def capabilities(self) -> Capabilities:
        """The features that the backend supports."""

    @property
    def sql_dialect(self) -> SqlDialectName:
        """The dialect of its SQL text."""

    def enforces_access(self, operation: Operation) -> bool | None:
        """Whether the backend itself applies rules of its own to a caller's ``operation``."""


_FREE = frozenset({Ping, Commit})
"""Operations to which no access rule applies."""


class Permitted(NamedTuple):
    """The operation to execute for a caller, and the function that converts its result to the one of the original."""

    operation: Operation
    answer: Callable[[Result], Result] | None = None


class AccessRules:
    """Applies the access rules of one adapter's tables.

    :ivar demand_caller: whether a call without an identity is refused; otherwise it counts as the application's own.
    """

    def __init__(self, backend: AccessEnforcer) -> None:
        self.demand_caller = False
        self._backend = backend
        # Operation, table and role of the calls that all callers may make on all rows: a cache, filled on first use.
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
        """A handler that applies the rules to callers' operations; the application's own calls pass unchanged."""

        def enforce(operation: Operation, context: Context) -> Result:
            identity = context.identity
            if identity is None or not is_caller(identity):
                if identity is None and self.demand_caller:
                    raise CallerMissing(backend=self._backend.name, operation=operation.kind)
                return handler(operation, context)
            # A lock also requires write access, so the cached read access is not sufficient for it.
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
        """Require an identity for a call that is not a single operation. :raises CallerMissing: if one is required."""
        if context.identity is None and self.demand_caller:
            raise CallerMissing(backend=self._backend.name, operation=operation)

    def permitted(self, operation: Operation, identity: Identity) -> Permitted:
        """Narrow a caller's operation to the rows that the rules grant.

        :raises PermissionDenied: if the rules do not permit it.
        :raises NotFound: for an unknown table.
        :raises Unsupported: for SQL text and functions to which this backend cannot apply the rules.
        """
        judge = self._judges.get(type(operation))
        if judge is None:
            reason = f"callers may not perform the operation {operation.kind}; run it with as_application()"
            raise self._denied(reason, operation)
        return judge(operation, identity)

    # Operations

    def _get(self, operation: Get, identity: Identity) -> Permitted:
        own = self._own(operation, operation.table, identity, *_needed(operation))
        if own is None:
            return Permitted(operation)
        table = self._backend.schema.table(operation.table)
        where = And((key_filter(table, checked_key(table, operation.id)), own))
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
            raise self._denied(f"the caller cannot change the owner of a record (column {own.column!r})", operation)
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
                raise translation.not_judged(f"table {table[:64]!r} is not declared in config/tables.py")
            if not judged_by_server or self._backend.schema.table(table).internal:
                self._require_all_rows(operation, table, action, identity)
        tables = {table: self._backend.schema.table(table).columns for table, _ in used}
        translation.require_known_names(text, self._backend.sql_dialect, tables)
        translation.require_size(text, self._backend.sql_dialect, tables)
        # Execute the very text that was checked.
        return Permitted(replace(operation, text=text, params=values, limited=True))

    def _call(self, operation: Call, _: Identity) -> Permitted:
        if self._backend.capabilities.calls and not self._backend.enforces_access(operation):
            detail = (
                f"{self._backend.name} runs functions with the rights of the application; callers may not call them"
            )
            raise Unsupported("row_security", backend=self._backend.name, detail=detail)
        return Permitted(operation)

    # Rules

    def _own(self, operation: Operation, table: str, identity: Identity, *actions: Action) -> Where | None:
        """The condition for the caller's own rows; None if the rules grant all rows."""
        rules = self._backend.schema.table(table).rules
        if not rules.declared:
            self._require_judge(operation, table)
            return None
        asked = [rules.of(action) for action in actions]
        reaches = [access.reach(identity) for access in asked]
        if "no rows" in reaches:
            refused = reaches.index("no rows")
            raise self._denied(
                f"{actions[refused]} access to table {table!r} is granted only to: {asked[refused]}", operation
            )
        if "own rows" in reaches:
            return Where(rules.owner or "", "eq", identity.subject)
        if all(access.names("anyone", "user") for access in asked):
            self._open.add((type(operation), table, identity.role))
        return None

    def _require_all_rows(self, operation: Sql, table: str, action: Action, identity: Identity) -> None:
        if self._own(operation, table, identity, action) is not None:
            raise translation.not_judged(f"the access rules of table {table!r} grant callers only their own rows")

    def _require_judge(self, operation: Operation, table: str) -> None:
        """Require that the backend applies its own rules to a table that declares none."""
        if not self._backend.enforces_access(operation):
            raise self._denied(
                f'table {table!r} is closed to callers: declare info["access"] for it in config/tables.py', operation
            )

    def _owned(self, operation: Insert | Upsert, own: Where) -> Sequence[Record]:
        """The rows with the caller as their owner."""
        return [self._owned_row(operation, row, own) for row in operation.rows]

    def _owned_row(self, operation: Insert | Upsert, row: Any, own: Where) -> Any:
        if not isinstance(row, Mapping):
            return row  # the validation of the rows refuses it and lists all their errors
        if row.get(own.column, own.value) != own.value:
            raise self._denied(
                f"the caller cannot create a record with another owner (column {own.column!r})", operation
            )
        return {**row, own.column: own.value}

    def _denied(self, reason: str, operation: Operation) -> PermissionDenied:
        return PermissionDenied(reason, backend=self._backend.name, operation=operation.kind)


def _as_it_is(operation: Operation, _: Identity) -> Permitted:
    return Permitted(operation)


def _needed(operation: Get | Select) -> tuple[Action, ...]:
    """The actions that a read requires; a lock blocks other writers, so it requires write access, too."""
    return ("read", "write") if operation.lock else ("read",)


def _both(where: Filter | None, own: Where) -> Filter:
    return own if where is None else And((where, own))


def _targeted(operation: Update | Delete, own: Where) -> Filter | None:
    """The narrowed filter of a change; None without id and filter, so that validation still refuses it."""
    return None if operation.id is None and operation.where is None else _both(operation.where, own)


def _answered(parts: Sequence[Permitted], result: Result) -> Result:
    answers = [part if one.answer is None else one.answer(part) for one, part in zip(parts, result.parts, strict=True)]
    return replace(result, parts=answers, count=sum(part.count or 0 for part in answers))

"""The data layer: one interface over many backends, resilient, transactional and portable.

These are the public names for applications; everything else is internal and may change. A name is imported on its first
use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.adapter.base import DatabaseAdapter
    from database.adapter.builder import TableQuery
    from database.adapter.interface import Database
    from database.adapter.transactions import Transaction
    from database.backends.convex import ConvexAdapter
    from database.backends.convex.errors import FunctionError
    from database.backends.faulty import Faults
    from database.backends.faulty import FaultyAdapter
    from database.backends.memory import MemoryAdapter
    from database.backends.postgres import PostgresAdapter
    from database.backends.postgres import SupabaseDirectAdapter
    from database.backends.sqlite import SQLiteAdapter
    from database.backends.supabase import SupabaseAdapter
    from database.changes.live_records import RecordChange
    from database.connection_manager import ConnectionManager
    from database.core.context import Identity
    from database.core.context import acting_as
    from database.core.context import as_application
    from database.core.context import current_context
    from database.core.context import in_callers_name
    from database.core.deferred import Deferred
    from database.core.errors import BackendError
    from database.core.errors import CallerMissing
    from database.core.errors import CircuitOpen
    from database.core.errors import Conflict
    from database.core.errors import ConnectFailed
    from database.core.errors import ConstraintViolated
    from database.core.errors import DataError
    from database.core.errors import InvalidQuery
    from database.core.errors import InvalidRow
    from database.core.errors import NotFound
    from database.core.errors import OutcomeUnknown
    from database.core.errors import PermissionDenied
    from database.core.errors import RequestError
    from database.core.errors import SerializationFailure
    from database.core.errors import SeveralRows
    from database.core.errors import TimedOut
    from database.core.errors import TransactionError
    from database.core.errors import Unavailable
    from database.core.errors import UnreadableRecord
    from database.core.errors import Unsupported
    from database.core.operations import Batch
    from database.core.operations import Delete
    from database.core.operations import Get
    from database.core.operations import Insert
    from database.core.operations import Operation
    from database.core.operations import Select
    from database.core.operations import Update
    from database.core.operations import Upsert
    from database.core.query.filters import And
    from database.core.query.filters import Filter
    from database.core.query.filters import Not
    from database.core.query.filters import Or
    from database.core.query.filters import Order
    from database.core.query.filters import Where
    from database.core.result import Result
    from database.core.result import Row
    from database.core.tables.schema import Column
    from database.core.tables.schema import Schema
    from database.core.tables.schema import TableSchema
    from database.core.tables.unreadable import Unreadable
    from database.extension import Isthmus
    from database.extension import current_database
    from database.extension import current_isthmus
    from database.flask_scope import before_answer
    from database.flask_scope import transactional
    from database.schema.migrations.runner import upgrade
    from database.schema.reflection import reflect
    from database.sync import ConflictUnit
    from database.sync import ConvexSyncManager
    from database.sync import SyncManager
    from database.sync import create_sync_manager
    from database.unit_of_work import Resource
    from database.unit_of_work import after_commit
    from database.unit_of_work import after_rollback
    from database.unit_of_work import before_commit
    from database.unit_of_work import commit_anyway
    from database.unit_of_work import join
    from database.unit_of_work import own_transaction
else:
    _HOMES = {
        "adapter.base": ("DatabaseAdapter",),
        "adapter.builder": ("TableQuery",),
        "adapter.interface": ("Database",),
        "adapter.transactions": ("Transaction",),
        "backends.convex": ("ConvexAdapter",),
        "backends.convex.errors": ("FunctionError",),
        "backends.faulty": ("Faults", "FaultyAdapter"),
        "backends.memory": ("MemoryAdapter",),
        "backends.postgres": ("PostgresAdapter", "SupabaseDirectAdapter"),
        "backends.sqlite": ("SQLiteAdapter",),
        "backends.supabase": ("SupabaseAdapter",),
        "changes.live_records": ("RecordChange",),
        "connection_manager": ("ConnectionManager",),
        "core.context": ("Identity", "acting_as", "as_application", "current_context", "in_callers_name"),
        "core.deferred": ("Deferred",),
        "core.errors": (
            *("BackendError", "CallerMissing", "CircuitOpen", "Conflict", "ConnectFailed", "ConstraintViolated"),
            *("DataError", "InvalidQuery", "InvalidRow", "NotFound", "OutcomeUnknown", "PermissionDenied"),
            *("RequestError", "SerializationFailure", "SeveralRows", "TimedOut", "TransactionError"),
            *("Unavailable", "UnreadableRecord", "Unsupported"),
        ),
        "core.operations": ("Batch", "Delete", "Get", "Insert", "Operation", "Select", "Update", "Upsert"),
        "core.query.filters": ("And", "Filter", "Not", "Or", "Order", "Where"),
        "core.result": ("Result", "Row"),
        "core.tables.schema": ("Column", "Schema", "TableSchema"),
        "core.tables.unreadable": ("Unreadable",),
        "extension": ("Isthmus", "current_database", "current_isthmus"),
        "flask_scope": ("before_answer", "transactional"),
        "schema.migrations.runner": ("upgrade",),
        "schema.reflection": ("reflect",),
        "sync": ("ConflictUnit", "ConvexSyncManager", "SyncManager", "create_sync_manager"),
        "unit_of_work": (
            *("Resource", "after_commit", "after_rollback", "before_commit", "commit_anyway", "join"),
            "own_transaction",
        ),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "And",
    "BackendError",
    "Batch",
    "CallerMissing",
    "CircuitOpen",
    "Column",
    "Conflict",
    "ConflictUnit",
    "ConnectFailed",
    "ConnectionManager",
    "ConstraintViolated",
    "ConvexAdapter",
    "ConvexSyncManager",
    "DataError",
    "Database",
    "DatabaseAdapter",
    "Deferred",
    "Delete",
    "Faults",
    "FaultyAdapter",
    "Filter",
    "FunctionError",
    "Get",
    "Identity",
    "Insert",
    "InvalidQuery",
    "InvalidRow",
    "Isthmus",
    "MemoryAdapter",
    "Not",
    "NotFound",
    "Operation",
    "Or",
    "Order",
    "OutcomeUnknown",
    "PermissionDenied",
    "PostgresAdapter",
    "RecordChange",
    "RequestError",
    "Resource",
    "Result",
    "Row",
    "SQLiteAdapter",
    "Schema",
    "Select",
    "SerializationFailure",
    "SeveralRows",
    "SupabaseAdapter",
    "SupabaseDirectAdapter",
    "SyncManager",
    "TableQuery",
    "TableSchema",
    "TimedOut",
    "Transaction",
    "TransactionError",
    "Unavailable",
    "Unreadable",
    "UnreadableRecord",
    "Unsupported",
    "Update",
    "Upsert",
    "Where",
    "acting_as",
    "after_commit",
    "after_rollback",
    "as_application",
    "before_answer",
    "before_commit",
    "commit_anyway",
    "create_sync_manager",
    "current_context",
    "current_database",
    "current_isthmus",
    "in_callers_name",
    "join",
    "own_transaction",
    "reflect",
    "transactional",
    "upgrade",
]

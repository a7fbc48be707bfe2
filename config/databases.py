"""The settings of the databases, one group for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Literal

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from pydantic import ValidationInfo
from pydantic import field_validator

from config.fields import Count
from config.fields import FilePath
from config.fields import Isolation
from config.fields import Names
from config.fields import PolicyText
from config.fields import Port
from config.fields import Positive
from config.fields import Seconds
from config.fields import SslMode
from config.fields import StrategyText
from config.fields import Synchronous
from config.fields import lower

SyncNumbers = Literal["first", "second", "supabase", "convex"]


class CallSettings(BaseModel):
    """Timeout, retries and circuit breaker of the calls to a backend."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    # Less than REQUEST_TIMEOUT: after a database has not answered, a fallback still has time.
    timeout: Seconds = Field(10.0, description="Seconds a call may take; 0 leaves only the request's own limit.")
    retry_count: Count = Field(3, description="Retries of a failed call; 0 disables them.")
    circuit_breaker_threshold: Count = Field(5, description="Failures that open the circuit breaker; 0 never opens it.")
    circuit_breaker_timeout: Seconds = Field(
        60.0, description="Seconds the circuit breaker stays open; 0 lets the next call through."
    )


class DatabaseSettings(CallSettings):
    """A database server: its address, credentials and connection pool."""

    enabled: bool = Field(False, description="Whether this database is used.")
    host: str | None = Field(None, description="Host of the PostgreSQL server.")
    port: Port = Field(5432, description="Port of the PostgreSQL server.")
    name: str = Field("postgres", description="Name of the database.")
    user: str | None = Field(None, description="User to connect as.")
    password: SecretStr | None = Field(None, description="Password of the user.")
    sslmode: SslMode = Field("prefer", description="TLS mode of libpq, from `disable` to `verify-full`.")
    min_connections: Count = Field(1, description="Connections that the pool keeps open.")
    max_connections: Positive = Field(10, description="Maximum number of open connections.")
    isolation: Isolation = Field(
        "serializable",
        description="Isolation level on PostgreSQL: `serializable`, `repeatable read` or `read committed`.",
    )

    @field_validator("max_connections")
    @classmethod
    def _not_below_minimum(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_connections", 0):
            raise ValueError("must be at least MIN_CONNECTIONS of the same database")
        return value


class LocalDatabaseSettings(DatabaseSettings):
    """The local database: an SQLite file, or a PostgreSQL server if ``host`` is set."""

    enabled: bool = Field(True, description="Whether this database is used.")
    host: str | None = Field(None, description="Host of a PostgreSQL server that replaces the SQLite file.")
    path: FilePath = Field(Path("instance/isthmus.db"), description="SQLite file.")
    synchronous: Synchronous = Field(
        "full", description="`full` survives a power cut; `normal` is faster and can lose the last commits then."
    )


class SupabaseDatabaseSettings(DatabaseSettings):
    """Supabase's PostgreSQL server."""

    user: str | None = Field("postgres", description="User to connect as.")
    pooler: bool = Field(False, description="Whether the connection goes through a transaction pooler.")

    @field_validator("host")
    @classmethod
    def _needed_when_enabled(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("enabled"):
            raise ValueError("must be set when SUPABASE_DB_ENABLED is true")
        return value


class SupabaseSettings(CallSettings):
    """The HTTP interface of a Supabase project, used if ``SUPABASE_DB_HOST`` is not set."""

    url: str | None = Field(None, description="URL of the Supabase project, for its HTTP interface.")
    key: SecretStr | None = Field(None, description="The project's secret (`service_role`) key.")
    anon_key: SecretStr | None = Field(
        None, description="The project's publishable (`anon`) key; with it each request carries its caller's token."
    )


class ConvexSettings(CallSettings):
    """A Convex deployment."""

    url: str | None = Field(None, description="URL of the Convex deployment.")
    deployment_key: SecretStr | None = Field(None, description="Deploy key of the Convex deployment.")
    db_enabled: bool = Field(True, description="Whether this database is used.")
    sync_interval: float = Field(
        60.0, gt=0, allow_inf_nan=False, description="Seconds between two cycles of two-way sync."
    )
    sync_tables: Names | None = Field(
        None,
        description="Tables of two-way sync, separated by commas; if not set, all declared ones and, if there are"
        " stores in the database, `isthmus_entries`.",
    )
    conflict_resolution: StrategyText = Field(
        "last_modified",
        description="How two-way sync resolves a conflict: `last_modified`, `first_wins` (or `supabase_wins`),"
        " `second_wins` (or `convex_wins`), `merge` or `manual`; for single tables as in `last_modified,notes=merge`.",
    )
    conflict_deletes: PolicyText | None = Field(
        None,
        description="What becomes of a record that one side has deleted and the other one has changed: `delete_wins`,"
        " `update_wins` or `manual`; for single tables as in `delete_wins,notes=manual`. If not set, `first_wins` and"
        " `second_wins` decide these conflicts, too, `manual` leaves them open, and otherwise the deletion wins.",
    )
    sync_numbers: Annotated[SyncNumbers, BeforeValidator(lower)] | None = Field(
        None,
        description="Which side of two-way sync makes the keys of numbered tables: `first` (or `supabase`) or `second`"
        " (or `convex`). The other side requires the key of a new record.",
    )
    audit_rows: Count = Field(
        0, description="Records that two-way sync audits after each cycle, so that all are compared again and again."
    )

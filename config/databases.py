"""The settings of the databases, a group for each."""

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
from config.fields import Isolation
from config.fields import Names
from config.fields import Port
from config.fields import Positive
from config.fields import Seconds
from config.fields import SslMode
from config.fields import Synchronous
from config.fields import lower

ConflictResolution = Literal["last_modified", "first_wins", "second_wins", "supabase_wins", "convex_wins"]


class CallSettings(BaseModel):
    """How long a call at a backend may take, and what becomes of its failures."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    # Less than a request may take, so that a silent database leaves time to ask another one.
    timeout: Seconds = Field(10.0, description="Seconds a call may take; 0 for no limit of its own.")
    retry_count: Count = Field(3, description="Repetitions of a failed call; 0 tries once.")
    circuit_breaker_threshold: Count = Field(5, description="Failures that open the circuit; 0 never opens it.")
    circuit_breaker_timeout: Seconds = Field(60.0, description="Seconds the circuit stays open; 0 tries at once.")


class DatabaseSettings(CallSettings):
    """A database with connections: where it is, and how many there may be."""

    enabled: bool = Field(False, description="Whether this database is used.")
    host: str | None = Field(None, description="Host of the PostgreSQL server.")
    port: Port = Field(5432, description="Port of the PostgreSQL server.")
    name: str = Field("postgres", description="Name of the database.")
    user: str | None = Field(None, description="User to connect as.")
    password: SecretStr | None = Field(None, description="Password of the user.")
    sslmode: SslMode = Field("prefer", description="TLS as libpq knows it, from `disable` to `verify-full`.")
    min_connections: Count = Field(1, description="Connections kept open.")
    max_connections: Positive = Field(10, description="Most connections open at once.")
    isolation: Isolation = Field(
        "serializable",
        description="Of transactions on PostgreSQL: `serializable`, `repeatable read` or `read committed`.",
    )

    @field_validator("max_connections")
    @classmethod
    def _not_below_minimum(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_connections", 0):
            raise ValueError("must not be less than the number of connections kept open")
        return value


class LocalDatabaseSettings(DatabaseSettings):
    """The machine's own database: an SQLite file, or a PostgreSQL server where ``host`` is set."""

    enabled: bool = Field(True, description="Whether this database is used.")
    host: str | None = Field(None, description="Host of a PostgreSQL server, used instead of the SQLite file.")
    path: Path = Field(Path("instance/isthmus.db"), description="SQLite file.")
    synchronous: Synchronous = Field(
        "full", description="`full` survives a power cut; `normal` is faster and may lose the last commits then."
    )


class SupabaseDatabaseSettings(DatabaseSettings):
    """Supabase's PostgreSQL server."""

    user: str | None = Field("postgres", description="User to connect as.")
    pooler: bool = Field(False, description="Whether a transaction pooler is in between.")

    @field_validator("host")
    @classmethod
    def _needed_when_enabled(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("enabled"):
            raise ValueError("is needed when SUPABASE_DB_ENABLED is set")
        return value


class SupabaseSettings(CallSettings):
    """A Supabase project through its HTTP interface, used where ``SUPABASE_DB_HOST`` is not set."""

    url: str | None = Field(None, description="URL of the Supabase project, for its HTTP interface.")
    key: SecretStr | None = Field(None, description="The project's secret (`service_role`) key.")
    anon_key: SecretStr | None = Field(
        None, description="The project's publishable (`anon`) key; with it every caller acts under their own token."
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
        None, description="Tables that two-way sync keeps equal, with commas; all but internal ones if not set."
    )
    conflict_resolution: Annotated[ConflictResolution, BeforeValidator(lower)] = Field(
        "last_modified",
        description="Which side's change two-way sync keeps: `last_modified`, `first_wins` (or `supabase_wins`) or"
        " `second_wins` (or `convex_wins`).",
    )

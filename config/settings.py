"""Settings from the environment and ``.env``: read once, checked as a whole, never printed with their secrets."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal
from typing import TypeVar

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from pydantic import ValidationError
from pydantic import ValidationInfo
from pydantic import field_validator
from pydantic import model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsConfigDict


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _names(value: object) -> object:
    """Split at commas, trim, and drop empty and repeated names."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(name for part in value.split(",") if (name := part.strip())))


First = TypeVar("First")
Second = TypeVar("Second")
JwtAlgorithm = Literal["ES256", "RS256", "HS256"]
Environment = Annotated[Literal["development", "testing", "production"], BeforeValidator(_lower)]
SslMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"], BeforeValidator(_lower)
]
Synchronous = Annotated[Literal["full", "normal"], BeforeValidator(_lower)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names), Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class ConfigurationError(Exception):
    """Settings are wrong; the message names every one of them and no value.

    :ivar problems: the reason for each setting at fault, by its environment name.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("\n".join(f"{name}: {reason}" for name, reason in self.problems.items()))


def both(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """What two functions make from the settings. :raises ConfigurationError: with the problems of both."""
    problems: dict[str, str] = {}
    made: list[Any] = []
    for make in (first, second):
        try:
            made.append(make())
        except ConfigurationError as error:
            problems |= error.problems
    if problems:
        raise ConfigurationError(problems)
    return made[0], made[1]


class ServerSettings(BaseModel):
    """How the application is served."""

    environment: Environment = Field("development", description="`development`, `testing` or `production`.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    workers: Positive = Field(1, description="Server processes.")
    threads: Positive = Field(8, description="Threads of each process.")
    request_timeout: Seconds = Field(30.0, description="Seconds a request may take; 0 for no limit.")
    max_body_bytes: Positive = Field(1 << 20, description="Largest request body in bytes.")
    instance_path: Path = Field(Path("instance"), description="Folder for what belongs to this installation.")

    @property
    def production(self) -> bool:
        """Whether unsafe defaults must be refused."""
        return self.environment == "production"


database_names: set[str] = set()
"""What ``DB_ADAPTER_ORDER`` may name; whoever makes the databases adds to it. Empty, it allows any name."""


def check_database_names(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a name that is not in :data:`database_names`."""
    unknown = [name for name in names if name not in database_names]
    if unknown:
        raise ValueError(f"does not know {', '.join(unknown)}; known are {', '.join(sorted(database_names))}")


class FailoverSettings(BaseModel):
    """Which databases there are, and in which order they are used."""

    db_adapter_order: Names = Field(("local",), description="Names of the databases, best first, with commas.")
    db_auto_migrate: bool = Field(True, description="Whether missing tables are made at start-up.")
    db_failback_after: Seconds = Field(5.0, description="Seconds a better database must be well to be used again.")

    @field_validator("db_adapter_order")
    @classmethod
    def _known_databases(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if database_names:
            check_database_names(names)
        return names


class TokenSettings(BaseModel):
    """How access tokens are signed. ``JWT_SECRET`` alone implies ``HS256``."""

    jwt_secret: SecretStr | None = Field(None, description="Shared secret for `HS256`, at least 32 bytes.")
    jwt_algorithm: Annotated[JwtAlgorithm, BeforeValidator(_upper)] = Field(
        "ES256", description="`ES256`, `RS256` or `HS256`; `HS256` if only `JWT_SECRET` is set."
    )
    jwt_private_key_file: Path | None = Field(None, description="Private key in PEM form, for `ES256` and `RS256`.")
    jwt_expiry_seconds: Positive = Field(900, description="Life of an access token in seconds.")
    jwt_issuer: str = Field(
        "http://127.0.0.1:8000/auth/v1", description="`iss` of the tokens, compared letter for letter."
    )
    jwt_audience: str = Field("authenticated", description="`aud` of the tokens, as Supabase expects it.")

    @model_validator(mode="before")
    @classmethod
    def _imply_algorithm(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("jwt_secret") and not values.get("jwt_algorithm"):
            return {**values, "jwt_algorithm": "HS256"}
        return values

    @field_validator("jwt_private_key_file")
    @classmethod
    def _no_unused_key_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("jwt_algorithm") == "HS256":
            raise ValueError("is not used with HS256; leave it out, or set JWT_ALGORITHM to ES256 or RS256")
        return value


class DatabaseSettings(BaseModel):
    """What every database has: where it is, how many connections, and how its failures are handled."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    enabled: bool = Field(False, description="Whether this database is used.")
    host: str | None = Field(None, description="Host of the PostgreSQL server.")
    port: Port = Field(5432, description="Port of the PostgreSQL server.")
    name: str = Field("postgres", description="Name of the database.")
    user: str | None = Field(None, description="User to connect as.")
    password: SecretStr | None = Field(None, description="Password of the user.")
    sslmode: SslMode = Field("prefer", description="TLS as libpq knows it, from `disable` to `verify-full`.")
    min_connections: Count = Field(1, description="Connections kept open.")
    max_connections: Positive = Field(10, description="Most connections open at once.")
    # Less than a request may take, so that a silent database leaves time to ask another one.
    timeout: Seconds = Field(10.0, description="Seconds a call may take; 0 for no limit of its own.")
    retry_count: Count = Field(3, description="Repetitions of a failed call; 0 tries once.")
    circuit_breaker_threshold: Count = Field(5, description="Failures that open the circuit; 0 never opens it.")
    circuit_breaker_timeout: Seconds = Field(60.0, description="Seconds the circuit stays open; 0 tries at once.")

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


class Settings(TokenSettings, FailoverSettings, ServerSettings, BaseSettings):
    """All settings, immutable. Make them with :func:`load_settings`, which explains what is wrong.

    An environment variable is the upper-case name of its field, and that of a group's field begins with the
    group: ``local_db.path`` is ``LOCAL_DB_PATH``.
    """

    model_config = SettingsConfigDict(
        case_sensitive=False,
        enable_decoding=False,
        env_ignore_empty=True,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    local_db: LocalDatabaseSettings = Field(default_factory=LocalDatabaseSettings)
    supabase_db: SupabaseDatabaseSettings = Field(default_factory=SupabaseDatabaseSettings)


def load_settings(env_file: Path | str | None = ".env", /, **overrides: object) -> Settings:
    """Read the settings; an empty value counts as unset.

    :param env_file: file with more variables, weaker than the environment; None for no file.
    :param overrides: settings by their environment names, in any case, stronger than the environment.
    :raises ConfigurationError: with every setting that is wrong, and for an override that does not exist.
    """
    values = _nested({name.upper(): value for name, value in overrides.items() if value != ""})
    try:
        return Settings(_env_file=env_file, **values)
    except ValidationError as error:
        # The validation error keeps the rejected values, so it must not travel along as a cause.
        raise ConfigurationError(_problems(error)) from None


def settings_table() -> str:
    """Every setting with its default and meaning, as a Markdown table."""
    rows = [
        f"| `{name}` | {_shown(field.get_default())} | {field.description} |"
        for name, (_path, field) in _declared().items()
    ]
    return "\n".join(("| Setting | Default | Meaning |", "|---|---|---|", *rows))


def _declared() -> dict[str, tuple[tuple[str, ...], FieldInfo]]:
    """Every setting's path in the model and its field, by environment name."""
    return {"_".join(path).upper(): (path, field) for path, field in _fields(Settings)}


def _fields(model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (((name, *path), inner) for path, inner in _fields(field.annotation))
        else:
            yield (name,), field


def _nested(overrides: Mapping[str, object]) -> dict[str, Any]:
    declared = _declared()
    if unknown := overrides.keys() - declared.keys():
        raise ConfigurationError(dict.fromkeys(sorted(unknown), "there is no such setting"))
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        *groups, last = declared[name][0]
        target = values
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = value
    return values


def _problems(error: ValidationError) -> dict[str, str]:
    declared = _declared()
    problems: dict[str, str] = {}
    for detail in error.errors(include_input=False, include_url=False):
        name = "_".join(str(part) for part in detail["loc"]).upper()
        # A location may go on into the value, as in the second name of a list: the setting is its beginning.
        setting = next((known for known in declared if name == known or name.startswith(f"{known}_")), name)
        problems[setting] = detail["msg"].removeprefix("Value error, ")
    return problems


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"

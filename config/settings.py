"""Settings from the environment and ``.env``: read once, validated together, never printed with their secrets."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic import ValidationError
from pydantic import ValidationInfo
from pydantic import field_validator
from pydantic import model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsConfigDict

from config.auth import SessionSettings
from config.databases import ConvexSettings
from config.databases import LocalDatabaseSettings
from config.databases import SupabaseDatabaseSettings
from config.databases import SupabaseSettings
from config.fields import Count
from config.fields import Environment
from config.fields import FilePath
from config.fields import JwtAlgorithm
from config.fields import Names
from config.fields import Positive
from config.fields import Seconds
from config.fields import upper
from config.sign_in import SignInSettings
from config.storage import StorageSettings

MAX_TOKEN_SECONDS = 86400
MIN_PASSWORD_LENGTH = 32


class ConfigurationError(Exception):
    """One or more settings are invalid. The message names each of them and contains no value.

    :ivar problems: the reason for each invalid setting, by its environment name.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("\n".join(f"{name}: {reason}" for name, reason in self.problems.items()))


def collect_problems(*factories: Callable[[], Any]) -> list[Any]:
    """Call each factory and return the results in order. :raises ConfigurationError: with the problems of all."""
    problems: dict[str, str] = {}
    made: list[Any] = []
    for make in factories:
        try:
            made.append(make())
        except ConfigurationError as error:
            problems |= error.problems
    if problems:
        raise ConfigurationError(problems)
    return made


class ServerSettings(BaseModel):
    """Settings of the HTTP server and of the process."""

    environment: Environment = Field("development", description="`development`, `testing` or `production`.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 chooses a free port.")
    workers: Positive = Field(1, description="Server processes.")
    threads: Positive = Field(8, description="Threads of each process.")
    request_timeout: Seconds = Field(30.0, description="Seconds a request may take; 0 for no limit.")
    purge_interval: Seconds = Field(
        3600.0, description="Seconds between two purges of old idempotency keys, sessions and changes; 0 disables them."
    )
    body_timeout: Seconds = Field(
        10.0, description="Seconds for a request's head to arrive, and again for its body; 0 for no limit."
    )
    stop_timeout: Positive = Field(10, description="Seconds for running requests to finish when the server stops.")
    max_body_bytes: Positive = Field(1 << 20, description="Largest request body in bytes.")
    anonymous_export_rows: Count = Field(
        100_000,
        description="Most records of an export without a token; 0 allows none. With a token there is no limit.",
    )
    instance_path: FilePath = Field(Path("instance"), description="Folder for the files of this installation.")
    application_package: str = Field(
        "config",
        pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*$",
        description="Package that contains the application's modules `application` and `tables`.",
    )

    @property
    def production(self) -> bool:
        """Whether unsafe settings must be rejected."""
        return self.environment == "production"


database_names: set[str] = set()
"""Names allowed in ``DB_ADAPTER_ORDER``; the registry of adapters fills the set. An empty set allows any name."""


def check_database_names(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a name that is not in :data:`database_names`."""
    unknown = [name for name in names if name not in database_names]
    if unknown:
        raise ValueError(
            f"contains unknown databases: {', '.join(unknown)}; use names from: {', '.join(sorted(database_names))}"
        )


class FailoverSettings(BaseModel):
    """The databases and the order in which they are used."""

    db_adapter_order: Names = Field(
        ("local",), description="Names of the databases, separated by commas; the first is the primary."
    )
    db_auto_migrate: bool | None = Field(
        None,
        description="Whether the application applies pending migrations at its start. If not set, it does so to SQLite"
        " files and to PostgreSQL outside of production, but not to databases that others made.",
    )
    db_changes_kept: Seconds = Field(
        7 * 86_400.0, description="Seconds that the change log keeps a change; longer if a sync has not read it yet."
    )
    db_followers_kept: Seconds = Field(
        30 * 86_400.0,
        description="Seconds that the change log is kept for a sync that does not run; when it returns later, it"
        " compares all records.",
    )
    db_conflicts_kept: Seconds = Field(
        365 * 86_400.0, description="Seconds that the journal of sync keeps a resolved conflict; 0 for ever."
    )
    db_failback_after: Seconds = Field(
        1.0, description="Seconds the primary database must stay healthy before reads return to it."
    )

    db_primary_check: Seconds = Field(
        2.0,
        description="Seconds between two questions whether `flask sync move` has made another database the primary; 0"
        " never asks.",
    )

    @field_validator("db_adapter_order")
    @classmethod
    def _known_databases(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if database_names:
            check_database_names(names)
        return names


class TokenSettings(BaseModel):
    """Keys and claims of access tokens. ``JWT_SECRET`` alone implies ``HS256``."""

    jwt_secret: SecretStr | None = Field(None, description="Shared secret for `HS256`, at least 32 bytes.")
    jwt_algorithm: Annotated[JwtAlgorithm, BeforeValidator(upper)] = Field(
        "ES256", description="`ES256`, `RS256` or `HS256`; `HS256` if only `JWT_SECRET` is set."
    )
    jwt_previous_secrets: SecretStr | None = Field(
        None, description="Former values of `JWT_SECRET`, separated by commas; their tokens are still accepted."
    )
    jwt_private_key_file: FilePath | None = Field(
        None, description="PEM file with one private key for `ES256` or `RS256`; replaces the key ring."
    )
    jwt_keyring_file: FilePath | None = Field(
        None, description="File of the key ring, whose keys rotate; `keyring.json` in `INSTANCE_PATH` if not set."
    )
    jwt_keyring_password: SecretStr | None = Field(
        None, description="Encrypts the private keys in the key ring; at least 32 characters; required in production."
    )
    jwt_key_publish_seconds: Seconds = Field(3600.0, description="Seconds that a new key is published before it signs.")
    jwt_expiry_seconds: Positive = Field(
        900, le=MAX_TOKEN_SECONDS, description="Lifetime of an access token in seconds, at most a day."
    )
    jwt_issuer: str = Field(
        "http://127.0.0.1:8000/auth/v1", description="`iss` claim of the tokens; must match exactly."
    )
    jwt_audience: str = Field("authenticated", description="`aud` claim of the tokens; Supabase expects this default.")

    @model_validator(mode="before")
    @classmethod
    def _imply_algorithm(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("jwt_secret") and not values.get("jwt_algorithm"):
            return {**values, "jwt_algorithm": "HS256"}
        return values

    @field_validator("jwt_private_key_file", "jwt_keyring_file", "jwt_keyring_password")
    @classmethod
    def _no_unused_keys(cls, value: Path | SecretStr | None, info: ValidationInfo) -> Path | SecretStr | None:
        if value is not None and info.data.get("jwt_algorithm") == "HS256":
            raise ValueError("cannot be used with HS256; remove it, or set JWT_ALGORITHM to ES256 or RS256")
        if value is not None and info.data.get("jwt_private_key_file") is not None:
            raise ValueError("cannot be combined with JWT_PRIVATE_KEY_FILE; remove one of them")
        return value

    @field_validator("jwt_keyring_password")
    @classmethod
    def _long_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value) < MIN_PASSWORD_LENGTH:
            raise ValueError(f"must have at least {MIN_PASSWORD_LENGTH} characters")
        return value


class Settings(SessionSettings, SignInSettings, TokenSettings, FailoverSettings, ServerSettings, BaseSettings):
    """All settings, immutable. Create them with :func:`load_settings`, which reports every invalid setting.

    An environment variable has the upper-case name of its field. The name of a field in a group starts with the
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
    supabase: SupabaseSettings = Field(default_factory=SupabaseSettings)
    convex: ConvexSettings = Field(default_factory=ConvexSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)


def load_settings(env_file: Path | str | None = ".env", /, **overrides: object) -> Settings:
    """Read the settings. An empty value counts as unset.

    :param env_file: file with further variables; the environment overrides it. None reads no file.
    :param overrides: settings by their environment names, in upper or lower case; they override the environment.
    :raises ConfigurationError: for invalid settings and unknown overrides; names each of them.
    """
    values = _nested({name.upper(): value for name, value in overrides.items() if value != ""})
    try:
        return Settings(_env_file=env_file, **values)
    except ValidationError as error:
        # No cause: the validation error contains the rejected values, which may be secrets.
        raise ConfigurationError(_problems(error)) from None


def settings_table() -> str:
    """A Markdown table of all settings with defaults and descriptions."""
    rows = [
        f"| `{name}` | {_shown(field.get_default())} | {field.description} |"
        for name, (_path, field) in _declared().items()
    ]
    return "\n".join(("| Setting | Default | Meaning |", "|---|---|---|", *rows))


def setting_names() -> set[str]:
    """The environment names of all settings."""
    return set(_declared())


def _declared() -> dict[str, tuple[tuple[str, ...], FieldInfo]]:
    """The path in the model and the field of each setting, by environment name."""
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
        raise ConfigurationError(dict.fromkeys(sorted(unknown), "is not a setting"))
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
        # A location can point into the value, such as the second name of a list; the setting's name is its prefix.
        setting = next((known for known in declared if name == known or name.startswith(f"{known}_")), name)
        problems[setting] = detail["msg"].removeprefix("Value error, ")
    return problems


def _shown(default: object) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"

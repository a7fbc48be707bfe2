"""Settings from the environment and ``.env``: read once, checked as a whole, never printed with their secrets."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import TypeVar

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
from config.fields import Environment
from config.fields import JwtAlgorithm
from config.fields import Names
from config.fields import Positive
from config.fields import Seconds
from config.fields import upper
from config.sign_in import SignInSettings

First = TypeVar("First")
Second = TypeVar("Second")

MAX_TOKEN_SECONDS = 86400
MIN_PASSWORD_LENGTH = 32


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
    purge_interval: Seconds = Field(
        3600.0, description="Seconds between two deletions of old idempotency keys, sessions and changes; 0 for none."
    )
    body_timeout: Seconds = Field(
        10.0, description="Seconds in which a request's head, and then its body, must arrive; 0 for no limit."
    )
    stop_timeout: Positive = Field(10, description="Seconds in which the server ends, once it is told to.")
    max_body_bytes: Positive = Field(1 << 20, description="Largest request body in bytes.")
    instance_path: Path = Field(Path("instance"), description="Folder for what belongs to this installation.")
    application_package: str = Field(
        "config",
        pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*$",
        description="Package with the application's own modules `application` and `tables`.",
    )

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
    db_auto_migrate: bool = Field(True, description="Whether missing tables are made when the application is served.")
    db_changes_kept: Seconds = Field(
        7 * 86_400.0, description="Seconds that a change is kept in the log; longer while a sync has not read it."
    )
    db_failback_after: Seconds = Field(1.0, description="Seconds the first database must be well to be read again.")

    @field_validator("db_adapter_order")
    @classmethod
    def _known_databases(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if database_names:
            check_database_names(names)
        return names


class TokenSettings(BaseModel):
    """How access tokens are signed. ``JWT_SECRET`` alone implies ``HS256``."""

    jwt_secret: SecretStr | None = Field(None, description="Shared secret for `HS256`, at least 32 bytes.")
    jwt_algorithm: Annotated[JwtAlgorithm, BeforeValidator(upper)] = Field(
        "ES256", description="`ES256`, `RS256` or `HS256`; `HS256` if only `JWT_SECRET` is set."
    )
    jwt_previous_secrets: SecretStr | None = Field(
        None, description="Former values of `JWT_SECRET`, with commas; tokens signed with them are still accepted."
    )
    jwt_private_key_file: Path | None = Field(
        None, description="One private key in PEM form, for `ES256` and `RS256`, instead of keys that rotate."
    )
    jwt_keyring_file: Path | None = Field(
        None, description="File of the keys that rotate; `keyring.json` in `INSTANCE_PATH` if it is not set."
    )
    jwt_keyring_password: SecretStr | None = Field(
        None, description="Locks the private keys in that file, at least 32 characters; production demands it."
    )
    jwt_key_publish_seconds: Seconds = Field(
        3600.0, description="Seconds for which a new key is published before it signs."
    )
    jwt_expiry_seconds: Positive = Field(
        900, le=MAX_TOKEN_SECONDS, description="Life of an access token in seconds, at most a day."
    )
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

    @field_validator("jwt_private_key_file", "jwt_keyring_file", "jwt_keyring_password")
    @classmethod
    def _no_unused_keys(cls, value: Path | SecretStr | None, info: ValidationInfo) -> Path | SecretStr | None:
        if value is not None and info.data.get("jwt_algorithm") == "HS256":
            raise ValueError("is not used with HS256; leave it out, or set JWT_ALGORITHM to ES256 or RS256")
        if value is not None and info.data.get("jwt_private_key_file") is not None:
            raise ValueError("is not used with JWT_PRIVATE_KEY_FILE; leave out one of them")
        return value

    @field_validator("jwt_keyring_password")
    @classmethod
    def _long_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value) < MIN_PASSWORD_LENGTH:
            raise ValueError(f"must have at least {MIN_PASSWORD_LENGTH} characters")
        return value


class Settings(SessionSettings, SignInSettings, TokenSettings, FailoverSettings, ServerSettings, BaseSettings):
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
    supabase: SupabaseSettings = Field(default_factory=SupabaseSettings)
    convex: ConvexSettings = Field(default_factory=ConvexSettings)


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


def setting_names() -> set[str]:
    """The names of all settings, as the environment has them."""
    return set(_declared())


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
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"

"""The environment variables of the storage manager of evaluations: where it keeps them, with the documented names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Final

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from pydantic import field_validator
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsConfigDict

from config.fields import FilePath
from config.fields import lower

LARGEST_INLINE: Final = 1 << 20
"""The largest code, output or error, in bytes, that can be a part of its evaluation."""


class EvaluationPlaces(BaseModel):
    """Where a storage manager keeps evaluations.

    :ivar database_url: ``postgresql://user:password@host:port/name?sslmode=require``, or ``sqlite:///path``; the tables
        of evaluations are made there.
    :ivar file_storage_path: a folder: the primary place without a database, and the fallback with one.
    :ivar redis_url: of a cache that processes share; without it, each has one in its memory.
    :ivar prefer_database: whether the database, if there is one, is the primary place.
    :ivar enable_caching: whether there is a cache.
    :ivar large_file_threshold: bytes above which an output is no part of its evaluation; 1 MiB at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: SecretStr | None = None
    file_storage_path: FilePath = Path("./data")
    redis_url: SecretStr | None = None
    prefer_database: bool = True
    enable_caching: bool = True
    large_file_threshold: int = Field(LARGEST_INLINE, gt=0)

    @field_validator("large_file_threshold")
    @classmethod
    def _fits_a_row(cls, value: int) -> int:
        if value > LARGEST_INLINE:
            raise ValueError(
                f"must be at most {LARGEST_INLINE} (1 MiB), because larger outputs are never in their record; lower it,"
                " or leave it out"
            )
        return value


class EvaluationSettings(EvaluationPlaces, BaseSettings):
    """The same as the environment has it."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    environment: Annotated[str, BeforeValidator(lower)] = "development"

    def places(self) -> Mapping[str, Any]:
        """What is set of the places."""
        return self.model_dump(include=set(EvaluationPlaces.model_fields), exclude_unset=True)


def evaluation_settings() -> EvaluationSettings:
    """The variables as they are now, in the environment or in the file ``.env``."""
    return EvaluationSettings(_env_file=".env")

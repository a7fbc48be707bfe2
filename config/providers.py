"""The environment variables of the data manager's providers. Each of them has its documented name, and another one."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices
from pydantic import Field
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsConfigDict

from config.fields import Count
from config.fields import FilePath
from config.fields import Port
from config.fields import Positive


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class ProviderSettings(BaseSettings):
    """Where the providers are. One whose first variable is not set is not used."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=True
    )

    filesystem_base_path: FilePath = Field(Path("data"), validation_alias="FILESYSTEM_BASE_PATH")

    postgres_host: str | None = Field(None, validation_alias="POSTGRES_HOST")
    postgres_port: Port = Field(5432, validation_alias="POSTGRES_PORT")
    postgres_database: str = Field("postgres", validation_alias=_named("POSTGRES_DB", "POSTGRES_DATABASE"))
    postgres_user: str | None = Field(None, validation_alias="POSTGRES_USER")
    postgres_password: SecretStr | None = Field(None, validation_alias="POSTGRES_PASSWORD")

    redis_host: str | None = Field(None, validation_alias="REDIS_HOST")
    redis_port: Port = Field(6379, validation_alias="REDIS_PORT")
    redis_db: Count = Field(0, validation_alias=_named("REDIS_DB", "REDIS_DATABASE"))
    redis_password: SecretStr | None = Field(None, validation_alias="REDIS_PASSWORD")

    s3_bucket: str | None = Field(None, validation_alias=_named("AWS_S3_BUCKET", "S3_BUCKET_NAME"))
    s3_access_key_id: str | None = Field(None, validation_alias="AWS_ACCESS_KEY_ID")
    s3_secret_access_key: SecretStr | None = Field(None, validation_alias="AWS_SECRET_ACCESS_KEY")
    s3_region: str | None = Field(None, validation_alias=_named("AWS_REGION", "AWS_DEFAULT_REGION"))
    s3_endpoint_url: str | None = Field(None, validation_alias="S3_ENDPOINT_URL")

    qdrant_url: str | None = Field(None, validation_alias="QDRANT_URL")
    qdrant_collection: str = Field(
        "praval_vectors", validation_alias=_named("QDRANT_COLLECTION", "QDRANT_COLLECTION_NAME")
    )
    qdrant_api_key: SecretStr | None = Field(None, validation_alias="QDRANT_API_KEY")
    qdrant_vector_size: Positive = Field(384, validation_alias="QDRANT_VECTOR_SIZE")

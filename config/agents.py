"""The environment variables of the client of agents: where it stores, with the documented names, and how."""

from __future__ import annotations

from pydantic import Field
from pydantic import SecretStr
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsConfigDict

from config.fields import Names
from config.fields import Positive
from config.settings import ConfigurationError


class AgentSettings(BaseSettings):
    """Where agents store. PostgreSQL comes before Cosmos DB, which needs both its variables."""

    model_config = SettingsConfigDict(
        enable_decoding=False, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    postgres: SecretStr | None = Field(None, validation_alias="POSTGRES_CONNECTION_STRING")

    cosmos_endpoint: str | None = Field(None, validation_alias="COSMOS_ENDPOINT")
    cosmos_key: SecretStr | None = Field(None, validation_alias="COSMOS_KEY")
    cosmos_database: str = Field("transaction_review", validation_alias="COSMOS_DATABASE_NAME")
    cosmos_regions: Names | None = Field(None, validation_alias="COSMOS_REGIONS")
    cosmos_autoscale: Positive | None = Field(None, validation_alias="COSMOS_AUTOSCALE")
    cosmos_states: str = Field("agent_states", validation_alias="COSMOS_STATE_CONTAINER")
    cosmos_tasks: str = Field("agent_tasks", validation_alias="COSMOS_TASK_CONTAINER")
    cosmos_conversations: str = Field("conversations", validation_alias="COSMOS_CONVERSATION_CONTAINER")
    cosmos_transactions: str = Field("transactions", validation_alias="COSMOS_TRANSACTION_CONTAINER")

    @property
    def cosmos_containers(self) -> dict[str, str]:
        """The names of the containers by those of the tables."""
        return {
            "agent_states": self.cosmos_states,
            "agent_tasks": self.cosmos_tasks,
            "conversations": self.cosmos_conversations,
            "transactions": self.cosmos_transactions,
        }


def agent_settings() -> AgentSettings:
    """The variables as they are now, in the environment or in the file ``.env``.

    :raises ConfigurationError: for invalid variables; names each of them.
    """
    try:
        return AgentSettings(_env_file=".env")
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        # No cause: it contains the rejected values, which may be secrets.
        raise ConfigurationError({str(detail["loc"][0]): detail["msg"] for detail in found}) from None

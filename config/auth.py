"""The settings of sessions: lifetimes, revocation and cookies."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import Field
from pydantic import ValidationInfo
from pydantic import field_validator

from config.fields import Positive
from config.fields import Seconds
from config.fields import lower

RevocationPolicy = Annotated[Literal["reads", "open", "closed"], BeforeValidator(lower)]


class SessionSettings(BaseModel):
    """Settings of all sessions."""

    auth_session_idle_seconds: Positive = Field(
        14 * 86_400, description="Seconds a session lasts without being refreshed."
    )
    auth_session_seconds: Positive = Field(
        90 * 86_400, description="Seconds a session lasts at most, even if it is refreshed."
    )
    auth_revocation_policy: RevocationPolicy = Field(
        "reads",
        description="Requests allowed while the list of ended sessions is out of date: `reads`, all (`open`) or "
        "none (`closed`).",
    )
    auth_revocation_max_stale_seconds: Seconds = Field(
        30.0, description="Age in seconds from which the list of ended sessions is out of date."
    )
    auth_cookie_secure: bool = Field(
        True, description="Whether cookies are sent over HTTPS only; set it to false for development over HTTP."
    )

    @field_validator("auth_cookie_secure")
    @classmethod
    def _needed_in_production(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and info.data.get("environment") == "production":
            raise ValueError("must be true in production; without HTTPS, others on the network can read the cookies")
        return value

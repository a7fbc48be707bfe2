"""The settings of sessions: how long they last, how they are revoked, and their cookies."""

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
    """What holds for everyone who signs in."""

    auth_session_idle_seconds: Positive = Field(
        14 * 86_400, description="Seconds a session lasts without being refreshed."
    )
    auth_session_seconds: Positive = Field(90 * 86_400, description="Seconds a session lasts, however it is used.")
    auth_revocation_policy: RevocationPolicy = Field(
        "reads",
        description="What goes on while it cannot be known which sessions have ended: `reads`, all (`open`) or "
        "nothing (`closed`).",
    )
    auth_revocation_max_stale_seconds: Seconds = Field(
        30.0, description="Seconds without that knowledge until the policy applies."
    )
    auth_cookie_secure: bool = Field(
        True, description="Whether cookies are for HTTPS only; off for development without it."
    )

    @field_validator("auth_cookie_secure")
    @classmethod
    def _needed_in_production(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and info.data.get("environment") == "production":
            raise ValueError("must be true in production, or everybody on the way could read the cookies")
        return value

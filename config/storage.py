"""The settings of stores. The stores themselves are declared in the application's ``stores.py``."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from pydantic import field_validator

from config.fields import Positive

_KEY_BYTES: Final = 32


def storage_keys(text: str) -> dict[str, bytes]:
    """The keys in a setting, by their names, in their order. :raises ValueError: without any part of them."""
    keys: dict[str, bytes] = {}
    for number, part in enumerate(text.split(","), 1):
        name, _, encoded = part.strip().partition("=")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not name or name in keys or len(key) != _KEY_BYTES:
            raise ValueError(
                f"has a wrong part {number}: each must be name=key with a name of its own and {_KEY_BYTES} bytes in"
                " base64, as `openssl rand -base64 32` makes them"
            )
        keys[name] = key
    return keys


class StorageSettings(BaseModel):
    """Stores: their keys, and what HTTP clients may send."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    keys: SecretStr | None = Field(
        None,
        description="Keys that encrypt stores, as in `2026=…,2025=…`, each 32 bytes in base64 (`openssl rand -base64"
        " 32`); the first one encrypts, the others are former ones.",
    )
    max_body_bytes: Positive = Field(
        16 << 20, description="Largest value in bytes that `PUT /api/storage/…` accepts; a store may accept less."
    )
    max_output_bytes: Positive = Field(
        64 << 20, description="Largest output in bytes that `PUT /api/evaluations/…/output` accepts."
    )

    @field_validator("keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            storage_keys(value.get_secret_value())
        return value

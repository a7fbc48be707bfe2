"""The types of settings: parsing of their text, and allowed values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Literal

from pydantic import AfterValidator
from pydantic import BeforeValidator
from pydantic import Field


def lower(value: object) -> object:
    """Trim text and convert it to lower case."""
    return value.strip().lower() if isinstance(value, str) else value


def upper(value: object) -> object:
    """Trim text and convert it to upper case."""
    return value.strip().upper() if isinstance(value, str) else value


def names(value: object) -> object:
    """Split at commas, trim, and drop empty and repeated names."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(name for part in value.split(",") if (name := part.strip())))


def at_home(path: Path) -> Path:
    """Replace a leading ``~`` by the home directory. :raises ValueError: if the user has none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~, and the home directory of that user is not known") from None


JwtAlgorithm = Literal["ES256", "RS256", "HS256"]
Environment = Annotated[Literal["development", "testing", "production"], BeforeValidator(lower)]
SslMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"], BeforeValidator(lower)
]
Isolation = Annotated[Literal["serializable", "repeatable read", "read committed"], BeforeValidator(lower)]
Synchronous = Annotated[Literal["full", "normal"], BeforeValidator(lower)]
FilePath = Annotated[Path, AfterValidator(at_home)]
Names = Annotated[tuple[str, ...], BeforeValidator(names), Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]

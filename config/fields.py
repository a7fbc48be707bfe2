"""The types of settings: parsing of their text, and allowed values."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Final
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


def chosen_by_table(text: str, known: Iterable[str]) -> Mapping[str, str]:
    """Parse one of the ``known`` names, or one for each table: ``merge``, or ``merge,notes=manual``.

    :returns: the name for each table, and under ``*`` that for the others, if there is one.
    :raises ValueError: for an unknown name, and for two names for one table.
    """
    chosen: dict[str, str] = {}
    for part in text.split(","):
        table, equals, name = (word.strip() for word in part.rpartition("="))
        table = table if equals else "*"
        if name not in known or not table:
            raise ValueError(f"must be one of {', '.join(known)}, with others for single tables as in NAME,table=NAME")
        if table in chosen:
            raise ValueError(f"has two names for {'all tables' if table == '*' else f'table {table}'}")
        chosen[table] = name
    return chosen


def at_home(path: Path) -> Path:
    """Replace a leading ``~`` by the home directory. :raises ValueError: if the user has none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~, and the home directory of that user is not known") from None


DOCUMENTED_STRATEGIES: Final = {"supabase_wins": "first_wins", "convex_wins": "second_wins"}
"""Other names of strategies that resolve conflicts of two-way sync."""

STRATEGIES: Final = ("last_modified", "first_wins", "second_wins", "merge", "manual", *DOCUMENTED_STRATEGIES)
DELETE_POLICIES: Final = ("delete_wins", "update_wins", "manual")


def strategy_text(text: str) -> str:
    """Check the strategies in a setting. :raises ValueError: for an unknown one."""
    return _checked_choices(text, STRATEGIES)


def policy_text(text: str) -> str:
    """Check the policies in a setting. :raises ValueError: for an unknown one."""
    return _checked_choices(text, DELETE_POLICIES)


def _checked_choices(text: str, known: Iterable[str]) -> str:
    parts = [part.rpartition("=") for part in text.split(",")]
    lowered = ",".join(f"{table}{equals}{name.strip().lower()}" for table, equals, name in parts)
    chosen_by_table(lowered, known)
    return lowered


JwtAlgorithm = Literal["ES256", "RS256", "HS256"]
Environment = Annotated[Literal["development", "testing", "production"], BeforeValidator(lower)]
SslMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"], BeforeValidator(lower)
]
Isolation = Annotated[Literal["serializable", "repeatable read", "read committed"], BeforeValidator(lower)]
Synchronous = Annotated[Literal["full", "normal"], BeforeValidator(lower)]
FilePath = Annotated[Path, AfterValidator(at_home)]
StrategyText = Annotated[str, AfterValidator(strategy_text)]
PolicyText = Annotated[str, AfterValidator(policy_text)]
Names = Annotated[tuple[str, ...], BeforeValidator(names), Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]

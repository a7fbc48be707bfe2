"""Warnings about the environment: names that resemble a setting, and databases that are configured but not used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from config.settings import Settings
from config.settings import setting_names

_PREFIXES: Final = ("AUTH_", "CONVEX_", "DB_", "JWT_", "LOCAL_DB_", "SUPABASE_")
"""Prefixes of settings: an unknown name with one of them is probably a mistake."""

_ALIKE: Final = 0.85
"""Minimum similarity of a name to a setting, from 0 to 1, to suggest that setting."""

_DATABASES: Final[Mapping[str, tuple[str, ...]]] = {
    "supabase": ("SUPABASE_DB_HOST", "SUPABASE_URL"),
    "convex": ("CONVEX_URL",),
    "local": ("LOCAL_DB_HOST",),
}
"""The settings with the address of a database, by its name in ``DB_ADAPTER_ORDER``."""


def given_names(env_file: Path | str | None = ".env") -> set[str]:
    """The upper-case names of the variables with a value in the environment and in ``env_file``."""
    given = {**(dotenv_values(env_file) if env_file else {}), **os.environ}
    return {name.upper() for name, value in given.items() if value}


def advice(settings: Settings, given: Iterable[str]) -> list[str]:
    """One line for each probable mistake. The lines contain names of variables, never values.

    :param given: upper-case names, such as those from :func:`given_names`.
    """
    return [*_unused(settings, set(given)), *_unknown(set(given))]


def _unused(settings: Settings, given: set[str]) -> Iterator[str]:
    order = settings.db_adapter_order
    for database, names in _DATABASES.items():
        if database not in order:
            for name in names:
                if name in given:
                    yield f"{name} is set, but DB_ADAPTER_ORDER ({','.join(order)}) does not name {database}"
    if "DATABASE_URL" in given:
        yield (
            "DATABASE_URL is used by create_storage_manager() only; set SUPABASE_DB_HOST and DB_ADAPTER_ORDER for the"
            " application's database"
        )


def _unknown(given: set[str]) -> Iterator[str]:
    known = setting_names()
    for name in sorted(given - known):
        near = get_close_matches(name, known, n=1, cutoff=_ALIKE)
        if near:
            yield f"{name} is not a setting; did you mean {near[0]}?"
        elif name.startswith(_PREFIXES):
            yield f"{name} is not a setting and is ignored"

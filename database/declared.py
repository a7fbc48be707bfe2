"""The tables that adapters know: those that the application declares, and those of Isthmus itself.

The application's stand in a package that a setting names, ``config`` by default, which nothing below the application
imports: its module ``tables`` has the ``metadata``, and the folder ``migrations`` beside the package their migrations.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from config.settings import ConfigurationError
from config.settings import Settings
from database import internal_tables
from database.core.tables.schema import Schema

DEFAULT_PACKAGE: Final = "config"


def schema_of(metadata: sa.MetaData, migrations: Path | None = None) -> Schema:
    """The application's tables and those of Isthmus itself.

    :param migrations: the folder of the application's migrations, with ``versions`` in it; None if it has none.
    :raises ValueError: for a column type that not all backends can keep, and for a name that Isthmus has taken.
    """
    return Schema.of(metadata, internal_tables.metadata, migrations=migrations)


@cache
def schema_in(package: str) -> Schema:
    """The tables of the application in ``package``.

    :raises ImportError: if there is no such package, or it has no module ``tables``.
    """
    tables = import_module(f"{package}.tables")
    return schema_of(tables.metadata, Path(str(tables.__file__)).parents[1] / "migrations")


def schema_for(settings: Settings) -> Schema:
    """The tables of the application that ``settings.application_package`` names.

    :raises ConfigurationError: if it cannot be imported, or declares what not all backends can keep.
    """
    package = settings.application_package
    try:
        return schema_in(package)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError({"APPLICATION_PACKAGE": f"{package}.tables cannot be imported: {error}"}) from error
    except ValueError as error:
        raise ConfigurationError({f"{package}.tables": str(error)}) from error


def declared_schema() -> Schema:
    """The tables for an adapter that is made without any: those of the package that the environment names in
    ``APPLICATION_PACKAGE``.
    """
    return schema_in(os.environ.get("APPLICATION_PACKAGE") or DEFAULT_PACKAGE)

"""The schema for adapters: the tables that the application declares, plus Isthmus's own.

The application's tables are the ``metadata`` of the module ``tables`` in the package that ``APPLICATION_PACKAGE``
names, ``config`` by default; their migrations are in the folder ``migrations`` beside that package. The package is
imported by name, because modules below the application must not depend on it.
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
    """The application's tables plus Isthmus's own.

    :param migrations: the folder of the application's migrations, which contains ``versions``; None if it has none.
    :raises ValueError: for a column type that not all backends support, and for a table name that Isthmus uses.
    """
    return Schema.of(metadata, internal_tables.metadata, migrations=migrations)


@cache
def schema_in(package: str) -> Schema:
    """The schema of the application in ``package``.

    :raises ImportError: if the package or its module ``tables`` does not exist.
    """
    tables = import_module(f"{package}.tables")
    return schema_of(tables.metadata, Path(str(tables.__file__)).parents[1] / "migrations")


def schema_for(settings: Settings) -> Schema:
    """The schema of the application that ``settings.application_package`` names.

    :raises ConfigurationError: if the tables cannot be imported, or not all backends support them.
    """
    package = settings.application_package
    try:
        return schema_in(package)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError({"APPLICATION_PACKAGE": f"{package}.tables cannot be imported: {error}"}) from error
    except ValueError as error:
        raise ConfigurationError({f"{package}.tables": str(error)}) from error


def declared_schema() -> Schema:
    """The schema for an adapter that is created without one: that of the package in the environment variable
    ``APPLICATION_PACKAGE``.
    """
    return schema_in(os.environ.get("APPLICATION_PACKAGE") or DEFAULT_PACKAGE)

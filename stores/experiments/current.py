"""The experiments of an application: in its own tables."""

from __future__ import annotations

from typing import Final

from flask import Flask

from config.settings import ConfigurationError
from database.adapter.interface import Database
from database.core.tables.schema import Schema
from database.extension import Isthmus
from database.extension import current_isthmus
from stores.declaration import RecordStoreDeclaration
from stores.experiments.core import Experiments
from stores.experiments.tables import TABLES

NAME: Final = "experiments"
"""Its name in ``RECORD_STORES``."""


def init_app(app: Flask, database: Database, schema: Schema, declaration: RecordStoreDeclaration) -> None:
    """Keep the experiments in ``app``, as the application declares them.

    :raises ConfigurationError: if it does not declare their tables.
    """
    if declaration.blobs is not None:
        raise ConfigurationError({f"record store {NAME}": "has no blobs: its records are whole; leave blobs out"})
    if missing := [table for table in TABLES if table not in schema]:
        raise ConfigurationError(
            {
                f"record store {NAME}": f"needs the table {missing[0]}: call stores.declare_experiments(metadata) where"
                " the tables are declared, or remove it from RECORD_STORES"
            }
        )
    Isthmus.of(app)[Experiments] = Experiments.on_tables(database)


def current_experiments() -> Experiments:
    """The experiments of the current app. They are read and written as the application, whoever the caller is.

    :raises LookupError: if the application declares none in ``RECORD_STORES``.
    """
    return current_isthmus()[Experiments]

"""The pair of databases that the commands of sync use."""

from __future__ import annotations

import click

from config.settings import ConfigurationError
from database import DatabaseAdapter
from database import DataError
from database import Filter
from database import Schema
from database import Select
from database import SyncManager
from database import as_application
from database import current_database
from database import current_isthmus
from database.sync.documented import neutral_side
from database.sync.options import declared_tables
from storage import Stores


def first_pair() -> SyncManager:
    """The sync of the first two databases of DB_ADAPTER_ORDER. :raises click.ClickException: says why there is none."""
    manager = current_database()
    if manager.sync_pair is None:
        raise click.ClickException("DB_ADAPTER_ORDER must name at least two databases.")
    return sync_of(*manager.sync_pair)


def sync_of(first: DatabaseAdapter, second: DatabaseAdapter, *, everything: bool = False) -> SyncManager:
    """The sync of two databases with the options of the settings.

    :param everything: whether all tables are synced, those of accounts, too; by default those of the settings are.
    :raises click.ClickException: for invalid options.
    """
    settings = current_database().settings.convex
    try:
        return SyncManager(
            first,
            second,
            settings.sync_interval,
            None if everything else settings.sync_tables or _synced(first.schema),
            settings.conflict_resolution,
            neutral_side(settings.sync_numbers),
            conflict_deletes=settings.conflict_deletes,
            audit_rows=settings.audit_rows,
            accounts=everything,
        )
    except (ConfigurationError, DataError) as error:
        raise click.ClickException(str(error)) from error


def _synced(schema: Schema) -> list[str]:
    """The tables that are synced if the settings name none: all declared ones, and that of stores if there are any."""
    stores = current_isthmus()[Stores].values()
    return declared_tables(schema, entries=any(store.capabilities.joins for store in stores))


def count(adapter: DatabaseAdapter, table: str, where: Filter | None = None) -> int:
    """The number of records of a table, or of those that match."""
    with as_application():
        return adapter.run(Select(table, adapter.schema.table(table).key, where, limit=1, count=True)).count or 0

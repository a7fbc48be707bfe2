"""Commands for two-way sync: ``flask sync …``, between the first two databases of ``DB_ADAPTER_ORDER``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import click
from flask.cli import AppGroup

from config.settings import ConfigurationError
from database import DatabaseAdapter
from database import DataError
from database import SyncManager
from database import as_application
from database import current_database
from database.core.clock import utc_now
from database.sync.checkpoint import Checkpoints
from database.sync.checkpoint import agreed
from database.sync.documented import neutral_side
from database.sync.failures import Failures
from database.sync.side import CONFLICTS
from database.sync.side import RECORDS
from database.sync.side import Pair

sync_commands = AppGroup("sync", help="Two-way sync of the first two databases.")
"""Register it with ``app.cli.add_command``; it uses the databases of ``app.extensions["isthmus"].manager``."""


@sync_commands.command("run")
@click.option("--once", is_flag=True, help="Run one cycle; fail unless it reconciles every record.")
def run(once: bool) -> None:
    """Synchronize the two databases every CONVEX_SYNC_INTERVAL seconds, until an interrupt."""
    manager = sync_of_first_two()
    if not once:
        with manager, _until_interrupted():
            Event().wait()
        return
    complete = manager.sync_all()
    status = manager.get_sync_status()
    for table, counts in status["tables"].items():
        click.echo(f"{table}: {', '.join(f'{name} {number}' for name, number in counts.items())}")
    click.echo(", ".join(f"{side} is {name}" for side, name in status["sides"].items()))
    if not complete:
        _show_failures(manager.pair)
        raise click.ClickException(status["last_error"] or "Some records could not be written; see the lines above.")


@sync_commands.command("status")
def show_status() -> None:
    """Show the state of the sync that the two databases have stored."""
    pair = sync_of_first_two().pair
    try:
        checkpoint = agreed(*(rows := Checkpoints(pair).rows()))
        if checkpoint is None:
            click.echo(f"{pair.name}: never synced, or a side was restored; the next cycle compares everything")
        else:
            ages = [(utc_now() - row["updated_at"]).total_seconds() for row in rows if row]
            state = "comparing everything" if checkpoint.comparing else "following the change feed"
            click.echo(f"{pair.name}: {state}; last progress {min(ages):.0f} seconds ago")
        for side in pair.sides:
            agreements, conflicts = (_count(side.adapter, table, pair.name) for table in (RECORDS, CONFLICTS))
            waiting = _count(side.adapter, CONFLICTS, pair.name, state="open")
            resolved = f"{conflicts - waiting} resolved conflicts"
            open_ones = f", {waiting} open: see `flask sync conflicts`" if waiting else ""
            click.echo(f"{side.adapter.name}: {agreements} synced records, {resolved}{open_ones}")
        _show_failures(pair)
    except DataError as error:
        raise click.ClickException(str(error)) from error


def sync_of_first_two() -> SyncManager:
    """The sync of the first two databases."""
    manager = current_database()
    if manager.sync_pair is None:
        raise click.ClickException("DB_ADAPTER_ORDER must name at least two databases.")
    settings = manager.settings.convex
    try:
        return SyncManager(
            *manager.sync_pair,
            settings.sync_interval,
            settings.sync_tables,
            settings.conflict_resolution,
            neutral_side(settings.sync_numbers),
            settings.conflict_deletes,
        )
    except (ConfigurationError, DataError) as error:
        raise click.ClickException(str(error)) from error


def _count(adapter: DatabaseAdapter, table: str, pair: str, **equal: str) -> int:
    asked = adapter.table(table).select("id", count=True).eq("pair", pair)
    for column, value in equal.items():
        asked = asked.eq(column, value)
    with as_application():
        return asked.limit(1).execute().count or 0


def _show_failures(pair: Pair) -> None:
    failures = Failures(pair)
    failures.load()
    for key, reason in failures.reasons().items():
        click.echo(f"{key.table} {key.id}: {reason}", err=True)


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped", err=True)

"""Commands for two-way sync: ``flask sync …``, between the first two databases of ``DB_ADAPTER_ORDER``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import click
import orjson
from flask.cli import AppGroup

from cli.audit import audit
from cli.conflicts import conflict_commands
from cli.move import move
from cli.pairs import count
from cli.pairs import first_pair
from cli.sync_progress import progress_shown
from database import DataError
from database import Where
from database.core.clock import utc_now
from database.sync.bulk.bases import RECORDS
from database.sync.checkpoint import Checkpoints
from database.sync.checkpoint import agreed
from database.sync.conflicts.open_conflicts import OPEN
from database.sync.failures import Failures
from database.sync.side import CONFLICTS
from database.sync.side import Pair

sync_commands = AppGroup("sync", help="Two-way sync of the first two databases.")
"""Register it with ``app.cli.add_command``; it uses the databases of ``app.extensions["isthmus"].manager``."""

sync_commands.add_command(audit)
sync_commands.add_command(conflict_commands)
sync_commands.add_command(move)


@sync_commands.command("run")
@click.option("--once", is_flag=True, help="Run one cycle; fail unless it reconciles every record.")
@click.option("--json", "as_json", is_flag=True, help="With --once: progress and status as JSON.")
def run(once: bool, as_json: bool) -> None:
    """Synchronize the two databases every CONVEX_SYNC_INTERVAL seconds, until an interrupt."""
    manager = first_pair()
    if not once:
        with manager, _until_interrupted():
            Event().wait()
        return
    with progress_shown(manager, as_json=as_json):
        complete = manager.sync_all()
    status = manager.get_sync_status()
    if as_json:
        click.echo(orjson.dumps({"complete": complete, **status}, default=str))
    else:
        _show_counts(status)
    if not complete:
        _show_failures(manager.pair)
        raise click.ClickException(status["last_error"] or "Some records could not be written; see the lines above.")


def _show_counts(status: dict[str, Any]) -> None:
    for table, counts in status["tables"].items():
        click.echo(f"{table}: {', '.join(f'{name} {number}' for name, number in counts.items())}")
    click.echo(", ".join(f"{side} is {name}" for side, name in status["sides"].items()))


@sync_commands.command("status")
def show_status() -> None:
    """Show the state of the sync that the two databases have stored."""
    pair = first_pair().pair
    try:
        checkpoint = agreed(*(rows := Checkpoints(pair).rows()))
        if checkpoint is None:
            click.echo(f"{pair.name}: never synced, or a side was restored; the next cycle compares everything")
        else:
            ages = [(utc_now() - row["updated_at"]).total_seconds() for row in rows if row]
            state = "comparing everything" if checkpoint.comparing else "following the change feed"
            click.echo(f"{pair.name}: {state}; last progress {min(ages):.0f} seconds ago")
        for side in pair.sides:
            agreements, conflicts, waiting = (
                count(side.adapter, table, where)
                for table, where in (
                    (RECORDS, Where("pair", "eq", pair.name) & Where("table_name", "neq", "")),
                    (CONFLICTS, Where("pair", "eq", pair.name)),
                    (CONFLICTS, Where("pair", "eq", pair.name) & Where("state", "eq", OPEN)),
                )
            )
            resolved = f"{conflicts - waiting} resolved conflicts"
            open_ones = f", {waiting} open: see `flask sync conflicts`" if waiting else ""
            click.echo(f"{side.adapter.name}: {agreements} synced records, {resolved}{open_ones}")
        _show_failures(pair)
    except DataError as error:
        raise click.ClickException(str(error)) from error


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

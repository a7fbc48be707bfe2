"""Shows how far a cycle of sync has got, while it runs: a line on a terminal, or lines of JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import orjson

from cli.pairs import count
from cli.progress import ProgressLine
from cli.progress import repeated
from database import SyncManager
from database.core.clock import monotonic


@contextmanager
def progress_shown(manager: SyncManager, *, as_json: bool) -> Iterator[None]:
    """Show the progress of the cycle that the block runs, on the standard error.

    A line of JSON has ``compared``, ``of``, ``per_second`` and ``seconds_left``. Without ``as_json``, nothing is shown
    if the standard error is no terminal.
    """
    if not as_json and not sys.stderr.isatty():
        yield
        return
    total = _records(manager)
    started, before = monotonic(), _compared(manager)
    if as_json:
        with repeated(lambda: _print_line(_compared(manager) - before, total, monotonic() - started)):
            yield
        return
    line = ProgressLine("compared", total)
    line.show(0)
    try:
        with repeated(lambda: line.show(_compared(manager) - before)):
            yield
    finally:
        line.end()


def _print_line(compared: int, total: int, seconds: float) -> None:
    rate = compared / seconds
    left = max(0, total - compared) / rate if rate else None
    line = {"compared": compared, "of": total, "per_second": round(rate), "seconds_left": left and round(left, 1)}
    click.echo(orjson.dumps(line), err=True)


def _compared(manager: SyncManager) -> int:
    return sum(counts["compared"] for counts in manager.get_sync_status()["tables"].values())


def _records(manager: SyncManager) -> int:
    """About how many records there are: of each table those of the side that has more."""
    sides = manager.pair.sides
    return sum(max(count(side.adapter, table) for side in sides) for table in manager.tables)

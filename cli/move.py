"""``flask sync move``: moves the application to another of its databases, while it runs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

import click
import orjson
from flask.cli import with_appcontext

from cli.audit import show
from cli.databases import adapters
from cli.pairs import sync_of
from cli.progress import ProgressLine
from cli.progress import repeated
from database import DatabaseAdapter
from database import DataError
from database import current_database
from database.core.clock import monotonic
from database.sync.audit.findings import Findings
from database.sync.move.check import Report
from database.sync.move.mover import Databases
from database.sync.move.mover import Mover

_BETWEEN = 1.0
"""The most seconds between two cycles that carry changes over."""


class Teller:
    """Prints what was done, as text or as a line of JSON for each step."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._began = monotonic()

    def tell(self, step: str, text: str, **facts: Any) -> None:
        """Print that a step was done."""
        seconds = round(monotonic() - self._began, 3)
        self._began = monotonic()
        if self.as_json:
            click.echo(orjson.dumps({"step": step, "seconds": seconds, **facts}))
        else:
            click.echo(f"{step}: {text} ({seconds:.1f} s)")


@click.command("move")
@click.option("--from", "source", required=True, help="The database to leave, as named in DB_ADAPTER_ORDER.")
@click.option("--to", "target", required=True, help="The database to go to, as named in DB_ADAPTER_ORDER.")
@click.option("--dry-run", is_flag=True, help="Only check whether the move is possible, and print a report.")
@click.option("--limit", type=click.IntRange(min=1), help="Only copy so many records of each table, as a trial.")
@click.option("--until", type=click.Choice(["verify", "cut"]), help="Stop after this step; the next run goes on.")
@click.option("--back", is_flag=True, help="Make the database to leave the primary again.")
@click.option("--finish", is_flag=True, help="End the move: both databases must be equal, and are not kept equal then.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each step.")
@with_appcontext
def move(
    source: str,
    target: str,
    dry_run: bool,
    limit: int | None,
    until: str | None,
    back: bool,
    finish: bool,
    as_json: bool,
) -> None:
    """Move all tables and accounts to another database while the application runs, and make it the primary.

    The move may be interrupted at any time; the same command goes on. After the cut over it carries changes over in
    both directions until --finish, so that --back is possible.
    """
    teller = Teller(as_json=as_json)
    try:
        mover = _mover(source, target)
        if finish:
            _finish(mover, teller)
        elif back:
            _cut_over(mover, teller, source)
            _follow(mover, teller, once=until is not None)
        elif mover.phase == "moved":
            _follow(mover, teller, once=until is not None)
        elif _is_possible(mover, teller) and not dry_run:
            _go(mover, teller, target, limit, until)
    except DataError as error:
        raise click.ClickException(f"{error}; run the same command again, it goes on where it ended") from error


def _mover(source: str, target: str) -> Mover:
    for name in (source, target):
        adapters(name)
    if source == target:
        raise click.BadParameter("--from and --to must be two databases")
    manager = current_database()
    chosen = {source: manager.adapters[source], target: manager.adapters[target]}
    first, second = _sides(list(chosen.values()))
    return Mover(
        sync_of(first, second, everything=True),
        Databases(manager.adapters, source, target, manager.settings.db_primary_check),
    )


def _sides(chosen: list[DatabaseAdapter]) -> tuple[DatabaseAdapter, DatabaseAdapter]:
    """The two databases in the order that their sync has otherwise, too."""
    pair = current_database().sync_pair
    if pair is not None and set(map(id, pair)) == set(map(id, chosen)):
        return pair
    first, second = sorted(chosen, key=lambda adapter: adapter.kind == "convex")
    return first, second


def _is_possible(mover: Mover, teller: Teller) -> bool:
    line = ProgressLine("checked", 0)
    report = mover.check(line.show)
    line.end()
    teller.tell("check", f"{report.rows:,} records", **report.as_json())
    if not teller.as_json:
        _show(report)
    if report.problems:
        raise click.ClickException("The move is not possible; see the problems above.")
    return True


def _show(report: Report) -> None:
    for table in report.tables:
        click.echo(
            f"  {table.table}: {table.rows:,} records of at most {table.largest:,} characters, key"
            f" {', '.join(table.key)}{', numbered' if table.numbered else ''}; the target has {table.already:,}"
        )
    for remark in report.remarks:
        click.echo(f"  {remark}")
    for problem in report.problems:
        click.echo(f"  problem: {problem}", err=True)


def _go(mover: Mover, teller: Teller, target: str, limit: int | None, until: str | None) -> None:
    if limit is not None:
        number, failed = mover.trial(limit)
        for key, reason in list(failed.items())[:20]:
            click.echo(f"{key.table} {key.id}: {reason}", err=True)
        teller.tell("trial", f"{number - len(failed):,} records", records=number, failed=len(failed))
        if failed:
            raise click.ClickException(f"{len(failed)} records cannot be written.")
        return
    if mover.phase == "copy":
        with _progress(mover):
            mover.copy()
        teller.tell("copy", f"{_compared(mover):,} records compared", compared=_compared(mover))
    _verify(mover.verify, mover, teller)
    if until != "verify":
        _cut_over(mover, teller, target)
        _follow(mover, teller, once=until is not None)


def _verify(compare: Callable[[], Findings], mover: Mover, teller: Teller) -> None:
    findings = compare()
    teller.tell(
        "verify",
        f"{findings.total('compared'):,} records compared, {findings.differences} differences",
        compared=findings.total("compared"),
        differences=findings.differences,
        **({} if findings.equal else {"findings": findings.as_json()}),
    )
    if not findings.equal:
        if not teller.as_json:
            show(mover.manager.pair, findings)
        raise click.ClickException("The databases are not equal; run `flask sync audit --repair`, then this again.")


def _cut_over(mover: Mover, teller: Teller, to: str) -> None:
    if mover.primary() != to:
        known = mover.cut_over(to)
        teller.tell("cut over", f"{to} is the primary (epoch {known.epoch})", primary=to, epoch=known.epoch)


def _follow(mover: Mover, teller: Teller, *, once: bool) -> None:
    """Carry changes over until an interrupt, or until another process ends the move."""
    if once:
        return
    if not teller.as_json:
        click.echo("changes are carried over in both directions; interrupt it, and run it again, at any time")
    try:
        while mover.phase != "finished":
            mover.follow()
            sleep(min(_BETWEEN, mover.manager.interval))
    except KeyboardInterrupt:
        click.echo("interrupted; changes are not carried over until the next run", err=True)


def _finish(mover: Mover, teller: Teller) -> None:
    _verify(mover.finish, mover, teller)
    primary = mover.primary()
    teller.tell("finish", f"{primary} stays the primary; put it first in DB_ADAPTER_ORDER", primary=primary)


def _compared(mover: Mover) -> int:
    tables = mover.manager.get_sync_status()["tables"].values()
    return sum(int(counts["compared"]) for counts in tables)


@contextmanager
def _progress(mover: Mover) -> Iterator[None]:
    """Show how many records were compared while the block runs."""
    line = ProgressLine("copied", mover.size())
    try:
        with repeated(lambda: line.show(_compared(mover))):
            yield
    finally:
        line.end()

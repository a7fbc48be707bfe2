"""``flask storage migrate`` and ``python -m storage.migrate``: copy the entries of one store into another one, or the
records of agents or the evaluations of one backend into another one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final
from typing import Literal

import click
import orjson
from flask.cli import with_appcontext

import storage
from cli.progress import ProgressLine
from cli.stores.found import all_stores
from cli.stores.found import shown
from config.settings import ConfigurationError
from database import DataError
from database import RequestError
from database import as_application
from database import current_database
from storage import Copied
from storage import CopyOptions
from storage import Store
from storage import current_store

_SHOWN: Final = 100
"""How many of those that were left are named, unless all are asked for as JSON."""


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("must be a date or time in ISO 8601, such as 2026-11-30T12:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_RECORDS = click.option(
    "--records", type=click.Choice(["agents", "evaluations"]), help="Copy these, instead of the entries of stores."
)
_PREFIX = click.option("--prefix", default="", help="Only the keys that begin with this text.")
_COMMON = (
    click.option("--dry-run", is_flag=True, help="Only compare, and print what would be copied."),
    click.option("--since", callback=_moment, help="Only what was stored at this time (ISO 8601, UTC) or later."),
    click.option("--replace", is_flag=True, help="Overwrite what differs in the target, also if it is newer."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object."),
)


def _with(*options: Callable[..., Any]) -> Callable[..., Any]:
    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


@click.command("migrate")
@click.argument("source")
@click.argument("target")
@_with(_RECORDS, _PREFIX, *_COMMON)
@with_appcontext
def migrate_stores(source: str, target: str, **given: Any) -> None:
    """Copy the entries of SOURCE into TARGET: names of stores of the application, folders or URLs.

    A folder has a slash in its name, as in ./data. With --records, `application` is the application's own database.
    The command may be interrupted at any time, and repeated: it copies what is missing, and compares everything.
    """
    _migrate((source, target), in_application=True, **given)


@click.command("migrate")
@click.option("--source", required=True, help="A folder or a URL.")
@click.option("--target", required=True, help="A folder or a URL.")
@_with(_RECORDS, _PREFIX, *_COMMON)
def migrate_places(source: str, target: str, **given: Any) -> None:
    """Copy the entries of one store into another one.

    It may be interrupted at any time, and repeated: it copies what is missing, and compares everything.
    """
    _migrate((source, target), in_application=False, **given)


@click.command("migrate_old_data")
@click.option("--source", required=True, help="The folder with `evaluations`, `events` and `metadata`.")
@click.option("--target", required=True, help="A folder or a URL.")
@_with(*_COMMON)
def migrate_old_data(source: str, target: str, **given: Any) -> None:
    """Copy evaluations from the old layout, three folders of JSON files, into a store of evaluations.

    It changes nothing in the source, and may be repeated: it copies what is missing.
    """
    _migrate((source, target), in_application=False, records="old", **given)


def _migrate(
    places: tuple[str, str],
    *,
    in_application: bool,
    records: Literal["agents", "evaluations", "old"] | None = None,
    as_json: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    given = CopyOptions(dry_run=dry_run, **options)
    try:
        if records is None:
            copied = _copied_entries(places, given, in_application=in_application)
        else:
            copied = _copied_records(records, places, given, in_application=in_application)
    except (RequestError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from error
    except DataError as error:
        raise click.ClickException(f"{error}; run the same command again, it goes on where it ended") from error
    _tell(copied, "entries" if records is None else "records", as_json=as_json, dry_run=dry_run)
    if copied.left:
        raise click.exceptions.Exit(1)


def _copied_entries(places: tuple[str, str], given: CopyOptions, *, in_application: bool) -> Copied:
    with ExitStack() as stack:

        def opened(place: str, missing: Literal["create", "refuse", "empty"]) -> Store:
            if not in_application or (place not in all_stores() and any(sign in place for sign in "/:")):
                return stack.enter_context(closing(storage.store_at(place, missing)))
            stack.enter_context(as_application())
            return current_store(place)

        source, target = opened(places[0], "refuse"), opened(places[1], "empty" if given.dry_run else "create")
        # It is counted only if somebody looks at it.
        total = source.count(given.prefix) if sys.stderr.isatty() and given.since is None else 0
        with _progress(total) as told:
            return storage.copy_entries(source, target, given, told=told)


def _copied_records(
    kind: Literal["agents", "evaluations", "old"], places: tuple[str, str], given: CopyOptions, *, in_application: bool
) -> Copied:
    from stores.migration.records import copy_records  # noqa: PLC0415  # for this command only

    with _progress(0) as told:
        return copy_records(kind, places, given, told, current_database() if in_application else None)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Copied], None]]:
    line = ProgressLine("compared", total)
    try:
        yield lambda state: line.show(state.seen)
    finally:
        line.end()


def _tell(copied: Copied, what: str, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        click.echo(orjson.dumps({"dry_run": dry_run, **asdict(copied)}))
        return
    for key, reason in list(copied.left.items())[:_SHOWN]:
        click.echo(f"{shown(key)} {reason}", err=True)
    if len(copied.left) > _SHOWN:
        click.echo(f"and {len(copied.left) - _SHOWN:,} more; --json names all", err=True)
    click.echo(
        f"{copied.seen:,} {what}: {copied.moved:,} {'to be copied' if dry_run else 'copied'} ({copied.size:,} bytes),"
        f" {copied.same:,} there already, {len(copied.left):,} left; {copied.others:,} others in the target"
    )

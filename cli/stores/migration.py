"""``flask storage migrate`` and ``python -m storage.migrate``: copy the entries of one store into another one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Literal

import click
import orjson
from flask.cli import with_appcontext

import storage
from cli.progress import ProgressLine
from cli.stores.found import all_stores
from cli.stores.found import shown
from cli.stores.found import stored
from database import DataError
from database import RequestError
from storage import Copied
from storage import CopyOptions
from storage import Store

_Missing = Literal["create", "refuse", "empty"]
_Open = Callable[[str, _Missing], AbstractContextManager[Store]]

_SHOWN = 100
"""How many of the entries that were left are named, unless all are asked for as JSON."""


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "must be a date or a time in ISO 8601, such as 2026-11-30 or 2026-11-30T12:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="Only compare, and print what would be copied."),
    click.option("--since", callback=_moment, help="Only entries stored at this time (ISO 8601, UTC) or later."),
    click.option("--prefix", default="", help="Only the keys that begin with this text."),
    click.option("--replace", is_flag=True, help="Overwrite entries of the target that differ, also newer ones."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object."),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("migrate")
@click.argument("source")
@click.argument("target")
@_with_options
@with_appcontext
def migrate_stores(source: str, target: str, **given: Any) -> None:
    """Copy the entries of SOURCE into TARGET: names of stores of the application, folders or URLs.

    A folder has a slash in its name, as in ./data. The command may be interrupted at any time, and repeated: it copies
    what is missing, and compares everything by hashes.
    """
    _migrate(source, target, _declared_or_at, **given)


@click.command("migrate")
@click.option("--source", required=True, help="A folder or a URL.")
@click.option("--target", required=True, help="A folder or a URL.")
@_with_options
def migrate_places(source: str, target: str, **given: Any) -> None:
    """Copy the entries of one store into another one.

    It may be interrupted at any time, and repeated: it copies what is missing, and compares everything by hashes.
    """
    _migrate(source, target, _at, **given)


def _migrate(source: str, target: str, opened: _Open, *, as_json: bool, dry_run: bool, **options: Any) -> None:
    try:
        with ExitStack() as stack:
            origin = stack.enter_context(opened(source, "refuse"))
            goal = stack.enter_context(opened(target, "empty" if dry_run else "create"))
            copied = _copied(origin, goal, CopyOptions(dry_run=dry_run, **options))
    except DataError as error:
        raise click.ClickException(str(error)) from error
    _tell(copied, as_json=as_json, dry_run=dry_run)
    if copied.left:
        raise click.exceptions.Exit(1)


def _copied(source: Store, target: Store, options: CopyOptions) -> Copied:
    known = sys.stderr.isatty() and options.since is None
    line = ProgressLine("entries", source.count(options.prefix) if known else 0)
    try:
        return storage.copy_entries(source, target, options, told=lambda state: line.show(state.seen))
    except RequestError:
        raise
    except DataError as error:
        raise click.ClickException(f"{error}; run the same command again, it goes on where it ended") from error
    finally:
        line.end()


def _tell(copied: Copied, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        click.echo(orjson.dumps({"dry_run": dry_run, **asdict(copied)}))
        return
    for key, reason in list(copied.left.items())[:_SHOWN]:
        click.echo(f"{shown(key)} {reason}", err=True)
    if len(copied.left) > _SHOWN:
        click.echo(f"and {len(copied.left) - _SHOWN:,} more; --json names all", err=True)
    click.echo(
        f"{copied.seen:,} entries: {copied.moved:,} {'to be copied' if dry_run else 'copied'} ({copied.size:,} bytes),"
        f" {copied.same:,} there already, {len(copied.left):,} left; {copied.others:,} others in the target"
    )


@contextmanager
def _at(place: str, missing: _Missing) -> Iterator[Store]:
    """The store at a place, closed at the end."""
    found = storage.store_at(place, missing)
    try:
        yield found
    finally:
        found.close()


@contextmanager
def _declared_or_at(place: str, missing: _Missing) -> Iterator[Store]:
    """A store of the application, or the one at a place."""
    found = _at(place, missing) if place not in all_stores() and any(sign in place for sign in "/:") else stored(place)
    with found as store:
        yield store

"""``flask storage migrate`` and ``python -m storage.migrate``: copy the entries of one store into another one, or the
records of agents from one backend into another one.
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
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Literal

import click
import orjson
from flask.cli import with_appcontext

import storage
import stores
from cli.progress import ProgressLine
from cli.stores.found import all_stores
from cli.stores.found import shown
from cli.stores.found import stored
from database import DataError
from database import RequestError
from database import current_database
from storage import Copied
from storage import CopyOptions
from storage import Store

if TYPE_CHECKING:
    from stores.agents.client import RecordsClient

_Missing = Literal["create", "refuse", "empty"]
_Copy = Callable[[CopyOptions, Callable[[Copied], object]], Copied]

_APPLICATION: Final = "application"
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


_OPTIONS = (
    click.option("--agents", is_flag=True, help="Copy the records of agents, instead of the entries of stores."),
    click.option("--dry-run", is_flag=True, help="Only compare, and print what would be copied."),
    click.option("--since", callback=_moment, help="Only what was stored at this time (ISO 8601, UTC) or later."),
    click.option("--prefix", default="", help="Only the keys that begin with this text."),
    click.option("--replace", is_flag=True, help="Overwrite what differs in the target, also if it is newer."),
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

    A folder has a slash in its name, as in ./data. With --agents, `application` is the application's own database.
    The command may be interrupted at any time, and repeated: it copies what is missing, and compares everything.
    """
    _migrate((source, target), in_application=True, **given)


@click.command("migrate")
@click.option("--source", required=True, help="A folder or a URL.")
@click.option("--target", required=True, help="A folder or a URL.")
@_with_options
def migrate_places(source: str, target: str, **given: Any) -> None:
    """Copy the entries of one store into another one.

    It may be interrupted at any time, and repeated: it copies what is missing, and compares everything.
    """
    _migrate((source, target), in_application=False, **given)


def _migrate(
    places: tuple[str, str], *, in_application: bool, agents: bool, as_json: bool, dry_run: bool, **options: Any
) -> None:
    given = CopyOptions(dry_run=dry_run, **options)
    prepared = _of_agents if agents else _of_entries
    try:
        with ExitStack() as stack:
            copied = _copied(*prepared(stack, places, given, in_application=in_application), given)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    _tell(copied, "records" if agents else "entries", as_json=as_json, dry_run=dry_run)
    if copied.left:
        raise click.exceptions.Exit(1)


def _copied(copy: _Copy, total: int, given: CopyOptions) -> Copied:
    line = ProgressLine("compared", total)
    try:
        return copy(given, lambda state: line.show(state.seen))
    except RequestError:
        raise
    except DataError as error:
        raise click.ClickException(f"{error}; run the same command again, it goes on where it ended") from error
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


def _of_entries(
    stack: ExitStack, places: tuple[str, str], given: CopyOptions, *, in_application: bool
) -> tuple[_Copy, int]:
    """The copy of entries, and their number; 0 if nobody looks at it."""

    def opened(place: str, missing: _Missing) -> Store:
        is_name = in_application and (place in all_stores() or not any(sign in place for sign in "/:"))
        return stack.enter_context(stored(place) if is_name else closing(storage.store_at(place, missing)))

    source, target = opened(places[0], "refuse"), opened(places[1], _missing_target(given))
    total = source.count(given.prefix) if sys.stderr.isatty() and given.since is None else 0
    return lambda options, told: storage.copy_entries(source, target, options, told=told), total


def _of_agents(
    stack: ExitStack, places: tuple[str, str], given: CopyOptions, *, in_application: bool
) -> tuple[_Copy, int]:
    """The copy of the records of agents, and 0, because their number is not known."""
    from stores.migration.agents import copy_agents  # noqa: PLC0415  # for this command only

    missing: tuple[_Missing, _Missing] = ("refuse", _missing_target(given))
    source, target = (
        stack.enter_context(_agents_at(place, what, in_application=in_application))
        for place, what in zip(places, missing, strict=True)
    )
    return lambda options, told: copy_agents(source, target, options, told=told), 0


def _missing_target(given: CopyOptions) -> _Missing:
    return "empty" if given.dry_run else "create"


@contextmanager
def _agents_at(place: str, missing: _Missing, *, in_application: bool) -> Iterator[RecordsClient]:
    """The records of agents at a place, or in the application's database."""
    from stores.migration.places import agents_at  # noqa: PLC0415  # for this command only

    if in_application and place == _APPLICATION:
        yield stores.DatabaseClient(current_database())
        return
    with agents_at(place, missing) as client:
        yield client

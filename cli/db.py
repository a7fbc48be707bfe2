"""Commands for the databases' tables: ``flask db …``, over the adapters in their configured order."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import click
from flask.cli import AppGroup

from database import BackendError
from database import DatabaseAdapter
from database import DataError
from database import RequestError
from database import Schema
from database import current_database
from database import purging
from database.schema import convex_schema
from database.schema import migrations
from database.schema.migrations import presence
from database.schema.sqlalchemy_engine import has_engine

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MOST_DAYS: Final = 36_500


def _age(_: click.Context, __: click.Parameter, text: str) -> timedelta:
    """A length of time such as ``7d``. :raises click.BadParameter: if it is none."""
    match = re.fullmatch(r"(\d{1,8})([smhd])", text, re.ASCII)
    age = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta.max
    if age > timedelta(days=_MOST_DAYS):
        raise click.BadParameter(f"{text!r} is no length of time such as 7d, 12h, 30m or 45s")
    return age


db_commands = AppGroup("db", help="The databases' tables.")
"""Register it with ``app.cli.add_command``; the adapters are ``app.extensions["isthmus"].manager.adapters``."""


@db_commands.command("upgrade")
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Apply the migrations that are missing, up to REVISION or all; make the access rules anew.

    Names the declared tables and columns that no migration makes.
    """
    _on_each(partial(_upgraded, revision))


@db_commands.command("downgrade", context_settings={"ignore_unknown_options": True})
@click.argument("revision", default="-1")
def downgrade(revision: str) -> None:
    """Undo the last migration, or those after REVISION in its branch (`base`: all), WITH THE TABLES AND COLUMNS THAT
    THEY MADE.

    The application upgrades again when it is served, unless DB_AUTO_MIGRATE is false.
    """
    _on_each(partial(_downgraded, revision))


@db_commands.command("stamp")
@click.argument("revision")
def stamp(revision: str) -> None:
    """Record that the databases have REVISION (`head`: all, `base`: none), and run no migration."""
    _on_each(partial(_stamped, revision))


@db_commands.command("current")
def current() -> None:
    """Show the last revisions that each database has: that of Isthmus, and that of the application."""
    _on_each(_revision)


@db_commands.command("check")
def check() -> None:
    """Show where a database differs from the declared tables; fails if one does."""
    if any(_on_each(_checked)):
        raise click.exceptions.Exit(1)


@db_commands.command("revision")
@click.argument("message")
def revision(message: str) -> None:
    """Upgrade the first database, and write a migration from what it lacks of the declared tables then.

    It goes into the application's folder of migrations.
    """
    adapter = next((adapter for adapter in _adapters().values() if has_engine(adapter)), None)
    if adapter is None:
        raise click.ClickException("No database has SQL tables.")
    try:
        path = migrations.runner.revise(adapter, message)
    except (DataError, ValueError) as error:
        raise click.ClickException(f"{adapter.name}: {error}") from error
    click.echo(f"Wrote {path}; read it before it runs anywhere.")


@db_commands.command("convex-schema")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; fail if a file differs from the tables.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=convex_schema.FUNCTIONS,
    help="The folder of the Convex functions.",
)
def write_convex_schema(only_check: bool, folder: Path) -> None:
    """Write the declared tables for Convex, and the types of the functions there."""
    act = convex_schema.stale if only_check else convex_schema.write
    try:
        names = act(_schema(), folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    for name in names:
        click.echo(f"{name}: {'differs from the declared tables' if only_check else 'written'}")
    if not names:
        click.echo("as declared")
    elif only_check:
        raise click.exceptions.Exit(1)


@db_commands.command("supabase-sql")
def show_supabase_sql() -> None:
    """Show the SQL that brings a Supabase project up to date, for its SQL editor; it may be run again."""
    click.echo(migrations.sql_script.supabase_script(_schema()), nl=False)


@db_commands.command("purge-changes")
@click.option("--older-than", callback=_age, default="7d", show_default=True, help="Such as 7d, 12h, 30m or 45s.")
@click.option("--unread", is_flag=True, help="Also changes that a two-way sync has not read; it compares everything.")
def purge_changes(older_than: timedelta, unread: bool) -> None:  # click passes flags so
    """Forget old changes, but for those that a two-way sync has still to read."""
    _on_each(partial(_purged, older_than, unread))


def _purged(older_than: timedelta, unread: bool, adapter: DatabaseAdapter) -> bool:
    number = purging.purge_changes(adapter, older_than, unread=unread)
    click.echo(f"{adapter.name}: {number} changes forgotten")
    return True


def _upgraded(revision: str, adapter: DatabaseAdapter) -> bool:
    applied = migrations.runner.upgrade(adapter, revision, always=True)
    click.echo(f"{adapter.name}: {'applied ' + ', '.join(applied) if applied else 'up to date'}")
    if not migrations.runner.pending(adapter):
        for line in presence.advice(presence.missing(adapter)):
            click.echo(f"  {line}")
    return True


def _downgraded(revision: str, adapter: DatabaseAdapter) -> bool:
    undone = migrations.runner.downgrade(adapter, revision)
    has = _named(migrations.runner.current(adapter))
    click.echo(f"{adapter.name}: {'undid ' + ', '.join(undone) if undone else 'nothing to undo'}; has {has}")
    return True


def _stamped(revision: str, adapter: DatabaseAdapter) -> bool:
    before, after = migrations.runner.stamp(adapter, revision)
    change = f"recorded {_named(after)} instead of {_named(before)}"
    click.echo(f"{adapter.name}: {change}; no migration was run. `flask db upgrade` makes access rules and triggers")
    return True


def _revision(adapter: DatabaseAdapter) -> bool:
    recorded, pending = migrations.runner.current(adapter), migrations.runner.pending(adapter)
    behind = f"; pending: {', '.join(pending)}" if pending else ""
    click.echo(f"{adapter.name}: {_named(recorded)}{behind}")
    return True


def _named(revisions: list[str]) -> str:
    return ", ".join(revisions) or "no revision"


def _checked(adapter: DatabaseAdapter) -> bool:
    """Whether the database differs."""
    lines = migrations.runner.check(adapter)
    click.echo(f"{adapter.name}: {'differs' if lines else 'as declared'}")
    for line in lines:
        click.echo(f"  {line}")
    return bool(lines)


def _on_each(act: Callable[[DatabaseAdapter], bool]) -> list[bool]:
    """The answers of the adapters that can be reached.

    :raises click.ClickException: if there is none, or a database refuses.
    """
    answers: list[bool] = []
    unreachable = 0
    for adapter in _adapters().values():
        if not has_engine(adapter):
            click.echo(f"{adapter.name}: has no SQL tables")
            continue
        try:
            answers.append(act(adapter))
        except BackendError as error:
            unreachable += 1
            click.echo(f"{adapter.name}: skipped: {error}", err=True)
        except RequestError as error:
            raise click.ClickException(f"{adapter.name}: {error}") from error
    if unreachable and not answers:
        raise click.ClickException("No database could be reached.")
    return answers


def _schema() -> Schema:
    return current_database().schema


def _adapters() -> dict[str, DatabaseAdapter]:
    adapters: dict[str, DatabaseAdapter] = current_database().adapters
    return adapters

"""Commands for the tables of the databases: ``flask db …``, on each adapter in the configured order."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import click
from flask.cli import AppGroup

from cli.adopt import adopt
from cli.databases import adapters
from cli.databases import run_on_each
from cli.dry_run import HELP
from cli.dry_run import dry
from cli.install import install
from database import DatabaseAdapter
from database import DataError
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
    """Parse a duration such as ``7d``. :raises click.BadParameter: for any other text, and above 36,500 days."""
    match = re.fullmatch(r"(\d{1,8})([smhd])", text, re.ASCII)
    age = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta.max
    if age > timedelta(days=_MOST_DAYS):
        raise click.BadParameter(f"{text!r} is not a duration of at most {_MOST_DAYS}d, such as 7d, 12h, 30m or 45s")
    return age


db_commands = AppGroup("db", help="Manage the tables of the databases.")
"""Register it with ``app.cli.add_command``; it uses ``app.extensions["isthmus"].manager.adapters``."""

db_commands.add_command(adopt)
db_commands.add_command(install)


@db_commands.command("upgrade")
@click.argument("revision", default="head")
@click.option("--dry-run", is_flag=True, help=HELP)
def upgrade(revision: str, dry_run: bool) -> None:  # click passes flags so
    """Apply all pending migrations, or those up to REVISION, and recreate the access rules.

    Lists the declared tables and columns that no migration creates.
    """
    run_on_each(_dry_upgrade(revision) if dry_run else partial(_upgrade, revision))


@db_commands.command("plan")
@click.argument("revision", default="head")
def plan(revision: str) -> None:
    """Print the SQL that `flask db upgrade` would run now on each database, and change nothing.

    Each database runs it in a transaction that is rolled back. So the command also shows what would fail, and holds the
    locks of the upgrade for as long as the upgrade would take.
    """
    run_on_each(_dry_upgrade(revision))


@db_commands.command("downgrade", context_settings={"ignore_unknown_options": True})
@click.argument("revision", default="-1")
@click.option("--dry-run", is_flag=True, help=HELP)
def downgrade(revision: str, dry_run: bool) -> None:  # click passes flags so
    """Undo the last migration, or all after REVISION in its branch (`base`: all). THIS DELETES THE TABLES AND COLUMNS
    THAT THEY CREATED.

    The application upgrades again at its next start, unless DB_AUTO_MIGRATE is false.
    """
    undo = partial(migrations.runner.downgrade, revision=revision)
    run_on_each(dry(undo) if dry_run else partial(_downgrade, revision))


@db_commands.command("stamp")
@click.argument("revision")
@click.option("--dry-run", is_flag=True, help=HELP)
def stamp(revision: str, dry_run: bool) -> None:  # click passes flags so
    """Record REVISION as the current revision (`head`: all, `base`: none), without running a migration."""
    record = partial(migrations.runner.stamp, revision=revision)
    run_on_each(dry(record) if dry_run else partial(_stamp, revision))


@db_commands.command("current")
def current() -> None:
    """Show the current revisions of each database: one of Isthmus, and one of the application."""
    run_on_each(_show_revision)


@db_commands.command("check")
def check() -> None:
    """Show the differences between the databases and the declared tables; fail if there are any."""
    if any(run_on_each(_check)):
        raise click.exceptions.Exit(1)


@db_commands.command("revision")
@click.argument("message")
def revision(message: str) -> None:
    """Upgrade the first SQL database, compare it with the declared tables, and write a migration.

    The migration file goes to the application's migrations folder.
    """
    adapter = next((adapter for adapter in adapters().values() if has_engine(adapter)), None)
    if adapter is None:
        raise click.ClickException("No database of DB_ADAPTER_ORDER has SQL tables; add one that has.")
    try:
        path = migrations.runner.revise(adapter, message)
    except (DataError, ValueError) as error:
        raise click.ClickException(f"{adapter.name}: {error}") from error
    click.echo(f"Wrote {path}; review it before you run it.")


@db_commands.command("convex-schema")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; fail if a file is out of date.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=convex_schema.FUNCTIONS,
    help="Folder of the Convex functions.",
)
def write_convex_schema(only_check: bool, folder: Path) -> None:
    """Write the Convex schema of the declared tables, and the types of the Convex functions.

    Prints what Convex does not keep of the declared constraints.
    """
    act = convex_schema.stale if only_check else convex_schema.write
    try:
        names = act(_schema(), folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    for remark in convex_schema.remarks(_schema()):
        click.echo(remark)
    for name in names:
        click.echo(f"{name}: {'differs from the declared tables' if only_check else 'written'}")
    if not names:
        click.echo("as declared")
    elif only_check:
        raise click.exceptions.Exit(1)


@db_commands.command("supabase-sql")
def show_supabase_sql() -> None:
    """Print the SQL that upgrades a Supabase project, for its SQL editor. It is safe to run it again."""
    click.echo(migrations.sql_script.supabase_script(_schema()), nl=False)


@db_commands.command("purge-changes")
@click.option("--older-than", callback=_age, default="7d", show_default=True, help="Such as 7d, 12h, 30m or 45s.")
@click.option(
    "--unread",
    is_flag=True,
    help="Delete changes that a two-way sync has not read, too; its next cycle compares everything.",
)
@click.option("--dry-run", is_flag=True, help=HELP)
def purge_changes(older_than: timedelta, unread: bool, dry_run: bool) -> None:  # click passes flags so
    """Delete old changes from the change log, except those that a two-way sync has not read yet."""
    kept = timedelta(seconds=current_database().settings.db_followers_kept)
    delete = partial(purging.purge_changes, older_than=older_than, unread=unread, followers_kept=kept)
    run_on_each(dry(delete) if dry_run else partial(_purge, delete))


def _purge(delete: Callable[[DatabaseAdapter], int], adapter: DatabaseAdapter) -> bool:
    number = delete(adapter)
    click.echo(f"{adapter.name}: deleted {number} changes")
    return True


def _dry_upgrade(revision: str) -> Callable[[DatabaseAdapter], bool]:
    return dry(partial(migrations.runner.upgrade, revision=revision, always=True))


def _upgrade(revision: str, adapter: DatabaseAdapter) -> bool:
    applied = migrations.runner.upgrade(adapter, revision, always=True)
    click.echo(f"{adapter.name}: {'applied ' + ', '.join(applied) if applied else 'up to date'}")
    if not migrations.runner.pending(adapter):
        for line in presence.advice(presence.missing(adapter), presence.adopted(adapter)):
            click.echo(f"  {line}")
    return True


def _downgrade(revision: str, adapter: DatabaseAdapter) -> bool:
    undone = migrations.runner.downgrade(adapter, revision)
    has = _named(migrations.runner.current(adapter))
    click.echo(f"{adapter.name}: {'undid ' + ', '.join(undone) if undone else 'nothing to undo'}; now at {has}")
    return True


def _stamp(revision: str, adapter: DatabaseAdapter) -> bool:
    before, after = migrations.runner.stamp(adapter, revision)
    change = f"recorded {_named(after)} instead of {_named(before)}"
    click.echo(f"{adapter.name}: {change}; ran no migration. Run `flask db upgrade` for access rules and triggers")
    return True


def _show_revision(adapter: DatabaseAdapter) -> bool:
    recorded, pending = migrations.runner.current(adapter), migrations.runner.pending(adapter)
    behind = f"; pending: {', '.join(pending)}" if pending else ""
    click.echo(f"{adapter.name}: {_named(recorded)}{behind}")
    return True


def _named(revisions: list[str]) -> str:
    return ", ".join(revisions) or "no revision"


def _check(adapter: DatabaseAdapter) -> bool:
    """Print the differences of the database; whether there are any."""
    lines = migrations.runner.check(adapter)
    click.echo(f"{adapter.name}: {'differs' if lines else 'as declared'}")
    for line in lines:
        click.echo(f"  {line}")
    return bool(lines)


def _schema() -> Schema:
    return current_database().schema

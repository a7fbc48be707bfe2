"""``flask db install``: what adopted tables get only if it is asked for."""

from __future__ import annotations

from functools import partial

import click
from flask.cli import AppGroup

from cli.databases import run_on_each
from cli.dry_run import HELP
from cli.dry_run import dry
from database import DatabaseAdapter
from database.schema import adoption

install = AppGroup(
    "install",
    help="Install what adopted tables do not have unasked. Isthmus's own tables are installed by `flask db upgrade`.",
)


def _command(name: str, what: str, text: str) -> None:
    """Add a command.

    :param what: what it has done, before the names of the tables.
    :param text: its help.
    """

    @install.command(name, help=text)
    @click.argument("tables", nargs=-1)
    @click.option("--database", help="A name of DB_ADAPTER_ORDER; by default all databases.")
    @click.option("--dry-run", is_flag=True, help=HELP)
    def command(tables: tuple[str, ...], database: str | None, dry_run: bool) -> None:
        doing = partial(adoption.installing.ACTIONS[name], names=tables)

        def told(adapter: DatabaseAdapter) -> bool:
            done = doing(adapter)
            click.echo(f"{adapter.name}: {f'{what} ' + ', '.join(done) if done else 'nothing to install'}")
            return True

        run_on_each(dry(doing) if dry_run else told, only=database)


_command(
    "tables",
    "created",
    "Create the adopted TABLES, by default all, in a database that lacks them, such as the second one of a sync.",
)
_command(
    "changes",
    "the change log has the changes of",
    "Log the changes of the adopted TABLES, by default all, by triggers: for subscriptions and two-way sync.",
)
_command(
    "policies",
    "made policies for",
    "Enable row level security for the adopted TABLES, by default all that have access rules and no policies, and make"
    " policies of their access rules.",
)
_command(
    "remove-changes",
    "the change log no longer has the changes of",
    "Drop the triggers that `flask db install changes` has made for the adopted TABLES, by default all.",
)

"""``flask db install``: what adopted tables get only if it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import click
from flask.cli import AppGroup

from cli.databases import run_on_each
from cli.dry_run import HELP
from cli.dry_run import dry
from database import DatabaseAdapter
from database.schema.adoption import installing


class _Act(Protocol):
    def __call__(self, adapter: DatabaseAdapter, names: Sequence[str]) -> list[str]: ...


install = AppGroup(
    "install",
    help="Install what adopted tables do not have unasked. Isthmus's own tables are installed by `flask db upgrade`.",
)


def _command(name: str, act: _Act, what: str) -> None:
    @install.command(name, help=act.__doc__)
    @click.argument("tables", nargs=-1)
    @click.option("--database", help="A name of DB_ADAPTER_ORDER; by default all databases.")
    @click.option("--dry-run", is_flag=True, help=HELP)
    def command(tables: tuple[str, ...], database: str | None, dry_run: bool) -> None:
        doing = partial(act, names=tables)

        def told(adapter: DatabaseAdapter) -> bool:
            done = doing(adapter)
            click.echo(f"{adapter.name}: {f'{what} ' + ', '.join(done) if done else 'nothing to install'}")
            return True

        run_on_each(dry(doing) if dry_run else told, only=database)


_command("tables", installing.install_tables, "created")
_command("changes", installing.install_changes, "the change log has the changes of")
_command("policies", installing.install_policies, "made policies for")
_command("remove-changes", installing.remove_changes, "the change log no longer has the changes of")

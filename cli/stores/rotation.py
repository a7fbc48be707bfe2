"""``flask storage rewrap``: rotates the keys of encrypted stores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from flask.cli import with_appcontext

from cli.progress import ProgressLine
from cli.stores.found import all_stores
from cli.stores.found import shown
from cli.stores.found import stored
from database import DataError
from storage import Encryption
from storage import rewrap


@click.command("rewrap")
@click.argument("stores", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only count the entries, and change nothing.")
@click.option("--after", help="Begin behind this key, where an interrupted run of one store has ended.")
@with_appcontext
def rewrap_keys(stores: Sequence[str], dry_run: bool, after: str | None) -> None:
    """Wrap the keys of all entries of encrypted STORES with the first key of STORAGE_KEYS, by default of all.

    Afterwards the former keys can be removed from STORAGE_KEYS. Others may read and write meanwhile.
    """
    chosen = {
        name: encryption for name in stores or all_stores() if (encryption := _encryption(name, needed=bool(stores)))
    }
    if after is not None and len(chosen) != 1:
        raise click.UsageError("--after is for one store; name it")
    unreadable = sum([_rewrap(name, encryption, after, dry_run=dry_run) for name, encryption in chosen.items()])
    if unreadable:
        raise click.ClickException(f"{unreadable} entries cannot be read with these keys; see the lines above.")


def _rewrap(name: str, encryption: Encryption, after: str | None, *, dry_run: bool) -> int:
    """Wrap the keys of one store; the number of entries that cannot be read."""
    last = after
    with stored(name) as found:
        line = ProgressLine("entries", found.count())

        def told(state: Any) -> None:
            nonlocal last
            last = state.last
            line.show(state.seen)

        try:
            state = rewrap(encryption.behind, encryption, after=after, dry_run=dry_run, told=told)
        except (KeyboardInterrupt, DataError):
            line.end()
            rest = "" if last is None else f" --after {json.dumps(last)}"
            click.echo(f"{name}: interrupted; go on with `flask storage rewrap {name}{rest}`", err=True)
            raise
        line.end()
    for key in state.unreadable:
        click.echo(f"{name}: {shown(key)} cannot be read", err=True)
    click.echo(f"{name}: {state.seen:,} entries, {state.done:,} {'to be wrapped' if dry_run else 'wrapped'} again")
    return len(state.unreadable)


def _encryption(name: str, *, needed: bool) -> Encryption | None:
    with stored(name) as found:
        for layer in found.layers:
            if isinstance(layer, Encryption):
                return layer
    if needed:
        raise click.BadParameter(f"the store {name!r} is not encrypted")
    return None

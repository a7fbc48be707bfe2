"""``flask storage rewrap``: rotates the keys of encrypted stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import click
from flask.cli import with_appcontext

from cli.progress import ProgressLine
from cli.stores.found import all_stores
from cli.stores.found import shown
from cli.stores.found import stored
from database import DataError
from storage import Encryption
from storage import Store
from storage import rewrap
from storage.core.layer import layers_within


@click.command("rewrap")
@click.argument("stores", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only count the entries, and change nothing.")
@click.option("--after", help="Begin behind this key, where an interrupted run of one store has ended.")
@with_appcontext
def rewrap_keys(stores: Sequence[str], dry_run: bool, after: str | None) -> None:
    """Wrap the keys of all entries of encrypted STORES with the first key of STORAGE_KEYS, by default of all.

    Afterwards the former keys can be removed from STORAGE_KEYS. Others may read and write meanwhile.
    """
    chosen = [place for name in stores or all_stores() for place in _encrypted(name, needed=bool(stores))]
    if after is not None and len(chosen) != 1:
        raise click.UsageError("--after is for one store with one encryption; without it, a run goes on, too")
    unreadable = sum([_rewrap(place, after, dry_run=dry_run) for place in chosen])
    if unreadable:
        raise click.ClickException(f"{unreadable} entries cannot be read with these keys; see the lines above.")


class _Encrypted(NamedTuple):
    """A place with an encryption: a store, or one in which a layer of it keeps entries."""

    name: str
    place: Store
    layer: Encryption

    def __str__(self) -> str:
        return self.name if self.place.name == self.name else f"{self.name}, in {self.place.name}"


def _rewrap(found: _Encrypted, after: str | None, *, dry_run: bool) -> int:
    """Wrap the keys of one place; the number of entries that cannot be read."""
    with stored(found.name):
        line = ProgressLine("entries", found.place.count())
        try:
            state = rewrap(
                found.layer.behind, found.layer, after=after, dry_run=dry_run, told=lambda state: line.show(state.seen)
            )
        except (KeyboardInterrupt, DataError):
            click.echo(f"{found}: interrupted; the same command goes on where this one has ended", err=True)
            raise
        finally:
            line.end()
    for key in state.unreadable:
        click.echo(f"{found}: {shown(key)} cannot be read", err=True)
    click.echo(f"{found}: {state.seen:,} entries, {state.done:,} {'to be wrapped' if dry_run else 'wrapped'} again")
    return len(state.unreadable)


def _encrypted(name: str, *, needed: bool) -> list[_Encrypted]:
    """The encrypted places of a store."""
    with stored(name) as store:
        within = layers_within(store)
        found = [_Encrypted(name, place, layer) for place, layer in within if isinstance(layer, Encryption)]
    if needed and not found:
        raise click.BadParameter(f"the store {name!r} is not encrypted")
    return found

"""``flask storage``: reads, writes and sweeps stores, with the rights of the application."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import BinaryIO
from typing import Final

import click
import orjson
from flask import current_app
from flask.cli import AppGroup

from cli.stores.found import all_stores
from cli.stores.found import shown
from cli.stores.found import stored
from cli.stores.migration import migrate_stores
from cli.stores.rotation import rewrap_keys

storage_commands = AppGroup("storage", help="Read, write and maintain the stores of the application.")
"""Register it with ``app.cli.add_command``; it uses the stores of ``app.extensions["isthmus"]``."""

storage_commands.add_command(migrate_stores)
storage_commands.add_command(rewrap_keys)

_JSON: Final = "application/json"


@storage_commands.command("list")
@click.argument("store", default="default")
@click.option("--prefix", default="", help="Only the keys that begin with this text.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each entry.")
def list_entries(store: str, prefix: str, as_json: bool) -> None:
    """List the entries of STORE in the order of their keys."""
    with stored(store) as found:
        for entry in found.heads(prefix):
            if as_json:
                click.echo(current_app.json.dumps(entry.known()))
            else:
                click.echo(f"{shown(entry.key)}  {entry.size:,} bytes  {entry.media_type}  {entry.stored_at}")


@storage_commands.command("get")
@click.argument("store")
@click.argument("key")
@click.option("--output", type=click.File("wb", lazy=True), default="-", help="File for the value.")
def get(store: str, key: str, output: BinaryIO) -> None:
    """Print the value of KEY in STORE: as JSON, or the bytes as they are."""
    with stored(store) as found:
        entry = found.entry(key)
    output.write(f"{current_app.json.dumps(entry.value)}\n".encode() if entry.media_type == _JSON else entry.value)


@storage_commands.command("put")
@click.argument("store")
@click.argument("key")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--media-type", default=_JSON, help="Of the bytes in FILE; by default they are JSON.")
@click.option("--metadata", default="{}", help="A JSON object.")
@click.option("--ttl", type=float, help="Seconds until it expires.")
@click.option("--if-absent", is_flag=True, help="Fail if there is an entry.")
@click.option("--expected", help="Fail unless the present entry has this etag.")
def put(
    store: str,
    key: str,
    file: BinaryIO,
    media_type: str,
    metadata: str,
    ttl: float | None,
    if_absent: bool,
    expected: str | None,
) -> None:
    """Store the content of FILE, or of the standard input, under KEY in STORE."""
    content = file.read()
    value = _parsed(content, "FILE") if media_type == _JSON else content
    known = _parsed(metadata.encode(), "--metadata")
    kind = None if media_type == _JSON else media_type
    with stored(store) as found:
        entry = found.put(key, value, metadata=known, ttl=ttl, media_type=kind, if_absent=if_absent, expected=expected)
    click.echo(entry.etag)


@storage_commands.command("delete")
@click.argument("store")
@click.argument("key")
def delete(store: str, key: str) -> None:
    """Delete the entry of KEY in STORE."""
    with stored(store) as found:
        if not found.delete(key):
            raise click.ClickException(f"nothing is stored under the key {shown(key)}")


@storage_commands.command("sweep")
@click.argument("stores", nargs=-1)
def sweep(stores: Sequence[str]) -> None:
    """Delete the expired entries of STORES, by default of all."""
    for name in stores or list(all_stores()):
        with stored(name) as found:
            click.echo(f"{name}: {found.sweep():,} expired entries deleted")


@storage_commands.command("repair")
@click.argument("stores", nargs=-1)
def repair(stores: Sequence[str]) -> None:
    """Bring up to date what the copies of STORES have missed, by default of all; the application does so, too."""
    left = 0
    for name in stores or list(all_stores()):
        with stored(name):
            repaired = all_stores().repair(name)
        click.echo(f"{name}: {repaired.done:,} writes repaired, {repaired.left:,} left")
        left += repaired.left
    if left:
        raise click.ClickException("Some copies could not be reached, or are being written; repeat the command later.")


@storage_commands.command("stats")
@click.argument("stores", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each store.")
def stats(stores: Sequence[str], as_json: bool) -> None:
    """Show what STORES hold, by default all; reads what is known about each entry."""
    for name in stores or list(all_stores()):
        with stored(name) as found:
            sizes = [entry.size for entry in found.heads()]
        facts = {"entries": len(sizes), "bytes": sum(sizes), "largest": max(sizes, default=0)}
        place = {"store": name, "type": found.backend.kind, **found.backend.describe()}
        if as_json:
            click.echo(orjson.dumps({**place, **facts}, default=str))
        else:
            click.echo(f"{name} ({found.backend.kind}): {', '.join(f'{what} {n:,}' for what, n in facts.items())}")


def _parsed(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"is not JSON: {error}", param_hint=what) from error

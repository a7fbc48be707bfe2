"""Commands for the signing keys: ``flask auth keys``, ``rotate``, ``convex-config`` and ``supabase-key``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click
from flask.cli import with_appcontext

from auth import AuthBridge
from auth.errors import KeyConfigurationError
from auth.errors import RotationRefused
from auth.keys.export import convex_environment
from auth.keys.export import convex_key_url
from auth.keys.export import private_jwk
from auth.keys.key_states import KeyState
from auth.keys.key_states import State
from database import current_isthmus

_WIDTHS = (43, 9, 7, 20)


@click.command("keys")
@with_appcontext
def keys() -> None:
    """List the keys with their states and the times (UTC) at which the states begin and end."""
    ring = _bridge().ring
    if not ring.exists:
        click.echo("There are no keys yet; the application creates the first one at its start.")
        return
    click.echo(_line("kid", "algorithm", "state", "since", "until"))
    for key in ring.states():
        click.echo(_line(key.kid or "-", key.algorithm, key.state, _time(key.since), _time(key.until)))


@click.command("rotate")
@click.option("--now", is_flag=True, help="Sign with the new key at once, or with the next key if there is one.")
@click.option("--revoke", is_flag=True, help="With --now, after a key was stolen: drop all other keys.")
@with_appcontext
def rotate(now: bool, revoke: bool) -> None:
    """Create a key that is published now and signs later. The current key is accepted until its tokens have expired.

    After --now --revoke, users must refresh their tokens or sign in again.
    """
    if revoke and not now:
        raise click.UsageError("--revoke needs --now; use both, or neither.")
    bridge = _bridge()
    with _errors_as_messages():
        bridge.rotate_key(at_once=now, revoke=revoke)
    newest = [key for key in bridge.ring.states() if key.state in (State.NEXT, State.CURRENT)][-1]
    click.echo(_announcement(newest))
    click.echo("Update the systems that have a copy of the keys: Convex with `flask auth convex-config`, and", err=True)
    click.echo("Supabase with `flask auth supabase-key`, with --next before the new key signs.", err=True)


@click.command("convex-config")
@with_appcontext
def convex_config() -> None:
    """Print the environment variables with which a Convex deployment accepts our tokens.

    Set each with: npx convex env set NAME VALUE. They contain the present keys: set them again after each rotation.
    """
    bridge = _bridge()
    with _errors_as_messages():
        variables = convex_environment(bridge)
    for name, value in variables.items():
        click.echo(f"{name}={value}")
    click.echo("The data: URI does not follow a rotation: set it again after `flask auth rotate`.", err=True)
    if url := convex_key_url(bridge):
        click.echo(f"This URL does, if Convex can reach it: CONVEX_JWT_JWKS={url}", err=True)
    waiting = bridge.ring.next
    if waiting is not None and waiting.algorithm != bridge.key.algorithm:
        click.echo(f"The next key uses {waiting.algorithm}: set all variables again when it signs.", err=True)


@click.command("supabase-key")
@click.option("--next", "following", is_flag=True, help="Print the next key, to import it before it signs.")
@with_appcontext
def supabase_key(following: bool) -> None:
    """Print the PRIVATE signing key as a JSON Web Key, for a Supabase project to import."""
    bridge = _bridge()
    key = bridge.ring.next if following else bridge.key
    if key is None:
        raise click.ClickException("There is no next key; create one with `flask auth rotate`.")
    with _errors_as_messages():
        click.echo(json.dumps(private_jwk(key)))


def _bridge() -> AuthBridge:
    return current_isthmus()[AuthBridge]


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    try:
        yield
    except (KeyConfigurationError, RotationRefused) as error:
        raise click.ClickException(str(error)) from error


def _announcement(key: KeyState) -> str:
    if key.state is State.CURRENT:
        return f"The key {key.kid} ({key.algorithm}) signs now."
    return f"The key {key.kid} ({key.algorithm}) signs from {_time(key.until)} UTC."


def _line(*cells: str) -> str:
    widths = (*_WIDTHS, 0)
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"

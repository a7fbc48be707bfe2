"""Commands for accounts and keys: ``flask auth …``."""

from __future__ import annotations

import json

import click
from flask import current_app
from flask.cli import AppGroup

from auth.accounts import Accounts
from auth.errors import KeyConfigurationError
from auth.errors import UnknownAccount
from auth.middleware import EXTENSION
from auth.sharing import convex_environment
from auth.sharing import private_jwk

auth_commands = AppGroup("auth", help="Accounts, their roles, and the signing key.")
"""Register it with ``app.cli.add_command``; the database is ``app.extensions["isthmus"].manager``."""


@auth_commands.command("grant")
@click.argument("email")
@click.argument("role")
def grant(email: str, role: str) -> None:
    """Give the account with EMAIL the role ROLE.

    Tokens that are already out keep the old role until they expire.
    """
    accounts = Accounts(current_app.extensions["isthmus"].manager)
    try:
        account = accounts.grant(email, role)
    except UnknownAccount as error:
        raise click.ClickException(f"No account has the e-mail address {email}.") from error
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ROLE") from error
    click.echo(f"{account.email} now has the role {account.role}.")


@auth_commands.command("convex-config")
def convex_config() -> None:
    """Print the environment variables with which a Convex deployment believes our tokens.

    Set each with: npx convex env set NAME VALUE
    """
    try:
        variables = convex_environment(current_app.extensions[EXTENSION])
    except KeyConfigurationError as error:
        raise click.ClickException(str(error)) from error
    for name, value in variables.items():
        click.echo(f"{name}={value}")


@auth_commands.command("supabase-key")
def supabase_key() -> None:
    """Print the PRIVATE signing key as a JSON Web Key, for a Supabase project to import."""
    try:
        jwk = private_jwk(current_app.extensions[EXTENSION].key)
    except KeyConfigurationError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(jwk))

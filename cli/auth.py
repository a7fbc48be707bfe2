"""Commands for accounts and keys: ``flask auth …``."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from auth import Accounts
from auth import UnknownAccount
from auth.sessions.purging import purge_sessions
from cli.keys import convex_config
from cli.keys import keys
from cli.keys import rotate
from cli.keys import supabase_key
from database import current_database

auth_commands = AppGroup("auth", help="Manage accounts, roles and signing keys.")
"""Register it with ``app.cli.add_command``; it uses the database ``app.extensions["isthmus"].manager``."""

for command in (keys, rotate, convex_config, supabase_key, purge_sessions):
    auth_commands.add_command(command)


@auth_commands.command("grant")
@click.argument("email")
@click.argument("role")
def grant(email: str, role: str) -> None:
    """Set the role of the account with EMAIL to ROLE.

    Access tokens that are already issued keep the old role until they expire.
    """
    accounts = Accounts(current_database())
    try:
        account = accounts.grant(email, role)
    except UnknownAccount as error:
        raise click.ClickException(f"No account has the e-mail address {email}; register it first.") from error
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ROLE") from error
    click.echo(f"{account.email} now has the role {account.role}.")

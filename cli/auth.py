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

auth_commands = AppGroup("auth", help="Accounts, their roles, and the keys that sign.")
"""Register it with ``app.cli.add_command``; the database is ``app.extensions["isthmus"].manager``."""

for command in (keys, rotate, convex_config, supabase_key, purge_sessions):
    auth_commands.add_command(command)


@auth_commands.command("grant")
@click.argument("email")
@click.argument("role")
def grant(email: str, role: str) -> None:
    """Give the account with EMAIL the role ROLE.

    Tokens that are already out keep the old role until they expire.
    """
    accounts = Accounts(current_database())
    try:
        account = accounts.grant(email, role)
    except UnknownAccount as error:
        raise click.ClickException(f"No account has the e-mail address {email}.") from error
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ROLE") from error
    click.echo(f"{account.email} now has the role {account.role}.")

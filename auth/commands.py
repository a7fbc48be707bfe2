"""Commands for accounts: ``flask auth …``."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from auth.accounts import Accounts
from auth.errors import UnknownAccount

auth_commands = AppGroup("auth", help="Accounts and their roles.")
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

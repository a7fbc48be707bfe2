"""Runs a command on each database."""

from __future__ import annotations

from collections.abc import Callable

import click

from database import BackendError
from database import DatabaseAdapter
from database import RequestError
from database import current_database
from database.schema.sqlalchemy_engine import has_engine


def adapters(only: str | None = None) -> dict[str, DatabaseAdapter]:
    """The databases of DB_ADAPTER_ORDER, or the one of this name. :raises click.BadParameter: if it is not there."""
    found: dict[str, DatabaseAdapter] = current_database().adapters
    if only is None:
        return found
    if only not in found:
        raise click.BadParameter(f"{only!r} is not in DB_ADAPTER_ORDER, which is {', '.join(found)}")
    return {only: found[only]}


def run_on_each(act: Callable[[DatabaseAdapter], bool], *, only: str | None = None) -> list[bool]:
    """Call ``act`` with each adapter that has SQL tables; the results of those that could be reached.

    :param only: the name of the only database to use.
    :raises click.ClickException: if no database can be reached, or one rejects the request.
    """
    answers: list[bool] = []
    unreachable = 0
    for adapter in adapters(only).values():
        if not has_engine(adapter):
            click.echo(f"{adapter.name}: has no SQL tables")
            continue
        try:
            answers.append(act(adapter))
        except BackendError as error:
            unreachable += 1
            click.echo(f"{adapter.name}: skipped: {error}", err=True)
        except RequestError as error:
            raise click.ClickException(f"{adapter.name}: {error}") from error
    if unreachable and not answers:
        raise click.ClickException("No database can be reached; see the errors above.")
    return answers

"""The stores that the commands use, with the rights of the application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click

from database import DataError
from database import as_application
from database import current_isthmus
from storage import Store
from storage import Stores
from storage import current_store


def all_stores() -> Stores:
    """The stores of the application."""
    stores: Stores = current_isthmus()[Stores]
    return stores


@contextmanager
def stored(name: str) -> Iterator[Store]:
    """A store, for the application. :raises click.ClickException: for an unknown one, and for what it refuses."""
    try:
        with as_application():
            yield current_store(name)
    except DataError as error:
        raise click.ClickException(str(error)) from error


def shown(key: str) -> str:
    """A key in a line of text; as JSON if it would spoil the line."""
    return key if key.isprintable() else json.dumps(key)

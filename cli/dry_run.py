"""Dry runs of the commands of ``flask db``: they print the SQL that the command would run, and change nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from database import DatabaseAdapter
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import is_there
from database.schema.sqlalchemy_engine import rehearsed

HELP: Final = "Print the SQL that would be run, and change nothing."


def dry(act: Callable[[DatabaseAdapter], object]) -> Callable[[DatabaseAdapter], bool]:
    """The dry run of ``act``. The database runs its statements in a transaction that is rolled back."""

    def run(adapter: DatabaseAdapter) -> bool:
        with _somewhere(adapter) as place, rehearsed() as trial:
            act(place)
        click.echo(f"-- {adapter.name}: {'would run:' if trial.statements else 'would run nothing'}")
        for statement in trial.statements:
            click.echo(f"{statement};")
        return True

    return run


@contextmanager
def _somewhere(adapter: DatabaseAdapter) -> Iterator[DatabaseAdapter]:
    """The adapter; for a SQLite file that does not exist, one of a temporary file, so that none is created."""
    if is_there(adapter):
        yield adapter
        return
    inner = bare(adapter)
    with tempfile.TemporaryDirectory() as folder:
        place = type(inner)({**inner.config, "path": str(Path(folder) / "empty.db")}, inner.schema, name=inner.name)
        try:
            yield place
        finally:
            place.disconnect()

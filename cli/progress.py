"""How far a long command got: a line with rate and time left, only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from database.core.clock import monotonic
from database.core.lifecycle import Worker

_EVERY: Final = 0.2
"""Seconds between two lines."""

_SECONDS: Final = 0.5
"""Seconds between two looks at the progress."""


class ProgressLine:
    """Shows the number of records done, on the standard error output.

    :param what: what is done with the records, such as ``compared``.
    :param total: the number of all records; 0 if it is not known.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._began = self._shown = monotonic()
        self._first: int | None = None
        self._on = sys.stderr.isatty()

    def show(self, done: int) -> None:
        """Show that so many records are done; those of the first call were done before."""
        self._first = done if self._first is None else self._first
        if self._on and monotonic() - self._shown >= _EVERY:
            self._shown = monotonic()
            click.echo(f"\r\x1b[K{self.line(done)}", nl=False, err=True)

    def end(self) -> None:
        """Erase the line."""
        if self._on:
            click.echo("\r\x1b[K", nl=False, err=True)

    def line(self, done: int) -> str:
        """The text for so many records."""
        rate = (done - (self._first or 0)) / max(monotonic() - self._began, 0.001)
        text = f"{done:,} {self._what}, {rate:,.0f} a second"
        if not self._total:
            return text
        left = max(self._total - done, 0) / rate if rate else 0
        minutes, seconds = divmod(round(left), 60)
        return f"{text}, {min(done / self._total, 1):.0%} of {self._total:,}, {minutes}:{seconds:02} left"


@contextmanager
def repeated(show: Callable[[], None]) -> Iterator[None]:
    """Call a function now and then while the block runs."""
    worker = Worker("isthmus-progress", show, _SECONDS, first=_SECONDS)
    worker.start()
    try:
        yield
    finally:
        worker.stop()

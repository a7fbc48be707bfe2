"""SQL text has no say in when a transaction begins and ends."""

from __future__ import annotations

from database.core.errors import InvalidQuery


def begun_by_text() -> InvalidQuery:
    """The error for a text on its own that has left a transaction open, which is undone."""
    return InvalidQuery("transactions are opened with transaction(), not with SQL text")


def ended_by_text() -> InvalidQuery:
    """The error for a text inside a transaction that has ended it."""
    return InvalidQuery("a transaction is ended by commit() or rollback(), not with SQL text")

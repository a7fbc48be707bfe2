"""Errors for SQL text of several statements, and for such that begins or ends a transaction."""

from __future__ import annotations

from database.core.errors import InvalidQuery


def begun_by_text() -> InvalidQuery:
    """The error for SQL text outside of a transaction that has begun one; it is rolled back."""
    return InvalidQuery("SQL text cannot begin a transaction; use transaction()")


def ended_by_text() -> InvalidQuery:
    """The error for SQL text that has ended its transaction."""
    return InvalidQuery("SQL text cannot end a transaction; use commit() or rollback()")


def several_statements() -> InvalidQuery:
    """The error for a text of several statements, of which none was carried out."""
    return InvalidQuery("the text has several statements; send one at a time, or all of them with execute_batch()")

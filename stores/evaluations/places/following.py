"""Who is told that an evaluation in tables has a new event."""

from __future__ import annotations

from collections.abc import Callable

from database.adapter.interface import Database
from database.core.context import as_application
from storage.core.keys import without_nul
from stores.evaluations.tables import EVENTS


def follow_events(database: Database, id: str, told: Callable[[], object]) -> Callable[[], object]:
    """Call ``told`` soon, and again after each commit of a new event of an evaluation; returns what ends that.

    It may be called once for several events, and not for one whose id sorts before that of another one. The calls are
    made in the threads of the subscriptions on the database. What ends it waits for a call that is being made.

    :raises DataError: if the database has no feed of changes, or does not answer.
    """
    newest = database.table(EVENTS).select("id").eq("evaluation_id", without_nul(id)).order("id", desc=True).limit(1)
    with as_application():
        return newest.subscribe(lambda _: told()).unsubscribe

"""The events of one evaluation as a stream: those that there are, then those that come, until the evaluation has ended.

Ids of events sort by the time at which they were made, and a transaction that takes long commits an id behind which
others have been read. So a stream looks back for late ones, as far as any transaction can reach. The id of a message
says how many events of this time were sent, so that a client that connects again misses none of them, either.
"""

from __future__ import annotations

import re
from bisect import bisect
from bisect import insort
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from itertools import takewhile
from typing import Final

from flask import Response

from api.evaluations.answers import existing
from api.evaluations.reads import PAGE
from api.evaluations.reads import SharedReads
from api.evaluations.watch import Watch
from api.http.live import Bell
from api.http.live import Message
from api.http.live import News
from api.http.live import live
from api.http.responses import empty
from stores import EvaluationEvent
from stores import Evaluations

BACK: Final = 60
"""Seconds that are looked back for late events: more than a transaction, and the difference of clocks, may take."""

_TIMED: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}(-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})?")
_PLACE: Final = re.compile(r"(?s:(?P<last>.{1,255}))~(?P<sent>\d{1,9})")


def follow(evaluations: Evaluations, id: str, watch: Watch, after: str | None) -> Response:
    """The response with the events behind the message with the id ``after``.

    It is empty if there will be none any more, which tells the client not to connect again.
    """
    evaluation = existing(evaluations, id)
    reads = watch.reads(evaluations, id)
    if evaluation.ended and after is not None and len(Reader(reads, after)().messages) <= 1:
        return empty(204)
    bell = Bell()
    return live(Reader(reads, after), bell, watch.following(id, bell))


class Reader:
    """Reads what a stream sends next.

    :param after: the id of the last message that was sent; None for all events.
    """

    def __init__(self, reads: SharedReads, after: str | None) -> None:
        self._reads = reads
        # The last event, and those that were sent in the time before it, sorted.
        self._last: str | None = None
        self._sent: list[str] = []
        self._resume(after)

    def __call__(self) -> News:
        """The news. :raises DataError: if they cannot be read."""
        # Before the events, so that all that an evaluation had when it ended are read.
        evaluation = self._reads.head()
        if evaluation is None:
            # A client that connects again is told so.
            return News([], over=True)
        sent = set(self._sent)
        unsent = list(islice((event for event in self._recent() if event.id not in sent), PAGE))
        messages = [self._message(event) for event in unsent]
        if len(messages) == PAGE:
            return News(messages, more=True)
        if evaluation.ended:
            messages.append(Message("end", {"status": evaluation.status}, self._place))
        return News(messages, over=evaluation.ended)

    @property
    def _place(self) -> str | None:
        return None if self._last is None else f"{self._last}~{len(self._sent)}"

    def _message(self, event: EvaluationEvent) -> Message:
        self._last = max(self._last or "", event.id)
        insort(self._sent, event.id)
        del self._sent[: bisect(self._sent, back_from(self._last))]
        return Message("event", asdict(event), self._place)

    def _recent(self) -> Iterator[EvaluationEvent]:
        """The events from the time on in which late ones may be."""
        after = None if self._last is None else back_from(self._last)
        while True:
            page = self._reads.events(after)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].id

    def _recently_sent(self, last: str) -> list[str]:
        return [event.id for event in takewhile(lambda event: event.id <= last, self._recent())]

    def _resume(self, after: str | None) -> None:
        """Go on behind a message, or an event. An id of neither begins with the first event.

        If events of the time before a message are missing, all of this time are sent again.
        """
        place = _PLACE.fullmatch(after or "")
        if place is None and not _TIMED.fullmatch(after or ""):
            return
        self._last = last = str(after) if place is None else place["last"]
        self._sent = self._recently_sent(last)
        if place is not None and int(place["sent"]) != len(self._sent):
            # From where none were missing: so the next places count all of them.
            self._last = last = back_from(last)
            self._sent = self._recently_sent(last)


def back_from(id: str) -> str:
    """The least id of an event that may be late when this one is read; the id itself if it does not tell its time."""
    if _TIMED.fullmatch(id) is None:
        return id
    time = max(0, int(id.replace("-", "")[:12], 16) - 1000 * BACK)
    return f"{time >> 16:08x}-{time & 0xFFFF:04x}"

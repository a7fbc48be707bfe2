"""Which sessions have ended lately: access tokens of theirs are refused, by every process, within two seconds.

An access token is believed without asking a database, so each process keeps the ids of the sessions that ended
within the life of one token; older ones have no valid token left. It asks the database for them when a request
with a session comes and the last time was more than ``INTERVAL`` ago: one request asks, the others go on with what
is known, or wait for the answer once that is older than ``WAIT_AFTER``. What ends in this process counts at once.

While the database cannot tell, what was known still holds, and the policy applies once it is older than
``max_stale``, or if the process never knew anything: ``reads`` goes on with safe methods, ``open`` with everything,
``closed`` with nothing. Whatever the policy, the danger passes by itself: without the database no session is
refreshed, so when the outage has lasted as long as an access token lives, no token of a session is valid any more.
Knowledge that is older than that refuses nobody, as it speaks of sessions whose tokens have expired.

With another database standing in, whose answers are those that count then, sessions that ended just before the
outage are known only to processes that heard of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterable
from datetime import datetime
from datetime import timedelta
from threading import Lock
from typing import Any
from typing import Final

from auth.errors import InvalidToken
from auth.sessions.sessions import SESSIONS
from config.auth import RevocationPolicy
from database.adapter.interface import Database
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.clock import utc_now
from database.core.context import NO_CONTEXT
from database.core.context import SERVICE
from database.core.context import current_context
from database.core.errors import DataError
from database.core.errors import Unavailable
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Select
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.flask_scope import SAFE_METHODS

logger = logging.getLogger(__name__)

INTERVAL: Final = 1.0
WAIT_AFTER: Final = 1.4
PATIENCE: Final = 0.5
"""Seconds. Knowledge is dated by when it was asked for, and ``WAIT_AFTER`` and ``PATIENCE`` are below two together."""

MARGIN: Final = timedelta(seconds=90)
"""By how much a token may outlive the end of its session by more than its life: leeway, clocks, a slow request."""

_NEVER: Final = float("-inf")


class Revocation:
    """What this process knows of ended sessions.

    :param database: where they are.
    :param token_life: how long an access token is valid.
    :param policy: what goes on while the database cannot tell.
    :param max_stale: seconds that knowledge may be old until the policy applies.
    :param patience: seconds that the database has for an answer.
    """

    def __init__(
        self,
        database: Database,
        *,
        token_life: timedelta,
        policy: RevocationPolicy,
        max_stale: float,
        patience: float = PATIENCE,
        clock: Clock = monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.policy = policy
        self._database = database
        self._span = token_life + MARGIN
        # One request may ask while another goes on: knowledge of that age is not called old.
        self._max_stale = max(max_stale, WAIT_AFTER)
        self._patience = patience
        self._clock = clock
        self._now = now
        self._build()
        rebuild_after_fork(self, Revocation._build, after=(database,))

    def _build(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._asking = Lock()
        self._noting = Lock()
        self._ended: frozenset[str] = frozenset()
        self._ended_here: dict[str, float] = {}
        self._known_at = self._fresh_until = self._next_at = _NEVER
        self._failed = False

    def check(self, session_id: str, method: str) -> None:
        """Let a request of this session go on, or not.

        :param method: of HTTP.
        :raises InvalidToken: if the session has ended.
        :raises Unavailable: if that is not known and the policy does not let the method go on.
        """
        if self._clock() >= self._fresh_until:
            self._refresh()
            if self._too_old() and self._refuses(method):
                raise Unavailable("whether the session has ended cannot be known now", retry_after=1)
        if session_id in self._ended:
            raise InvalidToken("its session has ended")

    def add(self, session_ids: Iterable[str]) -> None:
        """Note sessions that have ended in this process."""
        until = self._clock() + self._span.total_seconds()
        with self._noting:
            self._ended_here.update(dict.fromkeys(session_ids, until))
            self._ended |= self._ended_here.keys()

    def snapshot(self) -> dict[str, Any]:
        """What is known, for people; ``applies`` tells whether the policy decides at present."""
        known = self._known_at != _NEVER
        return {
            "policy": self.policy,
            "applies": self._failed and self._too_old(),
            "known_seconds_ago": round(self._clock() - self._known_at, 3) if known else None,
            "ended_sessions": len(self._ended),
        }

    def _refuses(self, method: str) -> bool:
        return self.policy == "closed" or (self.policy == "reads" and method not in SAFE_METHODS)

    def _age(self) -> float:
        return self._clock() - self._known_at

    def _too_old(self) -> bool:
        return self._age() > self._max_stale

    def _refresh(self) -> None:
        # Nobody stands in line for a database that did not answer a moment ago.
        waits = not self._failed and self._age() >= WAIT_AFTER
        if not self._asking.acquire(timeout=self._patience if waits else 0):
            return
        try:
            if self._clock() >= max(self._fresh_until, self._next_at):
                self._ask()
        finally:
            self._asking.release()

    def _ask(self) -> None:
        asked_at = self._clock()
        self._next_at = asked_at + INTERVAL
        try:
            ended = self._ended_lately()
        except DataError as error:
            if not self._failed:
                logger.warning("which sessions have ended cannot be known: %s", error)
            self._failed = True
            return
        with self._noting:
            self._ended_here = {one: until for one, until in self._ended_here.items() if until > asked_at}
            self._ended = ended | self._ended_here.keys()
        self._known_at, self._failed = asked_at, False
        self._fresh_until = asked_at + INTERVAL

    def _ended_lately(self) -> frozenset[str]:
        since = Where("ended_at", "gt", self._now() - self._span)
        # Ordered along the index, in which no database looks at more than what is asked for.
        query = Select(SESSIONS, ("id",), since, (Order("ended_at"),))
        outer = current_context.set(NO_CONTEXT.acting_as(SERVICE).until(monotonic() + self._patience))
        try:
            result = self._database.run_alone(query)
        finally:
            current_context.reset(outer)
        if result.source is not None:
            raise Unavailable("another database answered, which may not have heard of them")
        return frozenset(row["id"] for row in result.rows)

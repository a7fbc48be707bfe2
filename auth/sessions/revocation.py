"""Revocation: every process rejects the access tokens of an ended session within two seconds.

Access tokens are verified without a database. So each process keeps a list of the sessions that ended within the
lifetime of one access token; older sessions have no valid token left. The process reloads the list when a request with
a session arrives and the list is older than ``INTERVAL``. One request loads it. The others continue with the present
list, or wait for the new one if it is older than ``WAIT_AFTER``. Sessions that end in this process are added at once.

If the database does not answer, the present list stays in use. If the list is older than ``max_stale``, or was never
loaded, the policy applies: ``reads`` allows safe methods, ``open`` allows everything, ``closed`` allows nothing. The
risk of each policy is limited: without the database no session can be refreshed, so all access tokens of sessions have
expired when the outage has lasted as long as the lifetime of one. A list older than that rejects nobody, because the
tokens of its sessions have expired.

While a fallback database answers reads, sessions that ended just before the outage are known only to the processes
that loaded them before it.
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
from database.core.errors import SchemaMismatch
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
"""Seconds. The age of the list counts from the moment of the query, and ``WAIT_AFTER + PATIENCE`` is below two, so that
every process rejects within two seconds."""

MARGIN: Final = timedelta(seconds=90)
"""Sessions stay listed for the lifetime of a token and this margin, for leeway, clock differences and slow requests."""

_NEVER: Final = float("-inf")


class Revocation:
    """The list of ended sessions in this process.

    :param database: the database with the sessions.
    :param token_life: lifetime of an access token.
    :param policy: the requests to allow while the list is out of date.
    :param max_stale: age in seconds from which the list is out of date.
    :param patience: timeout of the query in seconds.
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
        # Up to WAIT_AFTER, requests continue with the list while another one reloads it.
        self._max_stale = max(max_stale, WAIT_AFTER)
        self._patience = patience
        self._clock = clock
        self._now = now
        self._create_runtime_state()
        rebuild_after_fork(self, Revocation._create_runtime_state, after=(database,))

    def _create_runtime_state(self) -> None:
        """Create the state that a forked child process must not share."""
        self._loading = Lock()
        self._changing = Lock()
        self._ended: frozenset[str] = frozenset()
        self._ended_here: dict[str, float] = {}
        self._loaded_at = self._fresh_until = self._next_at = _NEVER
        self._failed = False

    def check(self, session_id: str, method: str) -> None:
        """Check that a session has not ended.

        :param method: the HTTP method of the request.
        :raises InvalidToken: if the session has ended.
        :raises Unavailable: if the list is out of date and the policy does not allow the method.
        """
        if self._clock() >= self._fresh_until:
            self._refresh()
            if self._too_old() and self._refuses(method):
                raise Unavailable("the list of ended sessions cannot be loaded now; retry later", retry_after=1)
        if session_id in self._ended:
            raise InvalidToken("session has ended")

    def add(self, session_ids: Iterable[str]) -> None:
        """Add sessions that have ended in this process."""
        until = self._clock() + self._span.total_seconds()
        with self._changing:
            self._ended_here.update(dict.fromkeys(session_ids, until))
            self._ended |= self._ended_here.keys()

    def snapshot(self) -> dict[str, Any]:
        """The state of the list, for ``/status``; ``applies`` is true while the policy decides."""
        known = self._loaded_at != _NEVER
        return {
            "policy": self.policy,
            "applies": self._failed and self._too_old(),
            "known_seconds_ago": round(self._clock() - self._loaded_at, 3) if known else None,
            "ended_sessions": len(self._ended),
        }

    def _refuses(self, method: str) -> bool:
        return self.policy == "closed" or (self.policy == "reads" and method not in SAFE_METHODS)

    def _age(self) -> float:
        return self._clock() - self._loaded_at

    def _too_old(self) -> bool:
        return self._age() > self._max_stale

    def _refresh(self) -> None:
        # Requests do not queue for a database that has just failed to answer.
        waits = not self._failed and self._age() >= WAIT_AFTER
        if not self._loading.acquire(timeout=self._patience if waits else 0):
            return
        try:
            if self._clock() >= max(self._fresh_until, self._next_at):
                self._reload()
        finally:
            self._loading.release()

    def _reload(self) -> None:
        asked_at = self._clock()
        self._next_at = asked_at + INTERVAL
        try:
            ended = self._query_ended()
        except DataError as error:
            if not self._failed:
                logger.warning("cannot load the list of ended sessions; AUTH_REVOCATION_POLICY may apply: %s", error)
            self._failed = True
            return
        with self._changing:
            self._ended_here = {one: until for one, until in self._ended_here.items() if until > asked_at}
            self._ended = ended | self._ended_here.keys()
        self._loaded_at, self._failed = asked_at, False
        self._fresh_until = asked_at + INTERVAL

    def _query_ended(self) -> frozenset[str]:
        since = Where("ended_at", "gt", self._now() - self._span)
        # In the order of the index, so that every database reads the matching rows only.
        query = Select(SESSIONS, ("id",), since, (Order("ended_at"),))
        outer = current_context.set(NO_CONTEXT.acting_as(SERVICE).until(monotonic() + self._patience))
        try:
            result = self._database.run_alone(query)
        except SchemaMismatch:
            # Isthmus's own tables are not installed, so that there are no sessions that could have ended.
            return frozenset()
        finally:
            current_context.reset(outer)
        if result.source is not None:
            raise Unavailable("a fallback database answered, which may lack ended sessions")
        return frozenset(row["id"] for row in result.rows)

"""Who follows which evaluation: one subscription for each evaluation, whose followers share it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from threading import Lock
from weakref import WeakValueDictionary

from api.evaluations.reads import SharedReads
from api.http.live import Bell
from database import ConnectionManager
from database import DataError
from database.core.lifecycle import rebuild_after_fork
from stores import Evaluations
from stores import follow_events


@dataclass(slots=True, eq=False)
class _Followed:
    """An evaluation that is followed.

    :ivar bells: of its followers.
    :ivar end: ends the subscription; None before it has begun, and where it cannot.
    """

    bells: set[Bell] = field(default_factory=set)
    end: Callable[[], object] | None = None


class Watch:
    """Rings the bells of those who follow an evaluation when it has a new event.

    All subscriptions share one reader of the change feed, and those who follow one evaluation share what they read of
    it. Where there is no feed, or while it fails, followers look for themselves at each heartbeat.
    """

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._create_runtime_state()
        rebuild_after_fork(self, Watch._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._lock = Lock()
        self._followed: dict[str, _Followed] = {}
        self._reads: WeakValueDictionary[str, SharedReads] = WeakValueDictionary()

    def reads(self, evaluations: Evaluations, id: str) -> SharedReads:
        """What reads an evaluation for all who follow it, as long as one of them keeps this."""
        with self._lock:
            reads = self._reads.get(id)
            if reads is None:
                reads = self._reads[id] = SharedReads(evaluations, id)
            return reads

    @contextmanager
    def following(self, id: str, bell: Bell) -> Iterator[None]:
        """Ring ``bell`` inside the block."""
        self._follow(id, bell)
        try:
            yield
        finally:
            self._leave(id, bell)

    def _follow(self, id: str, bell: Bell) -> None:
        with self._lock:
            followed = self._followed.get(id)
            is_first = followed is None
            if followed is None:
                followed = self._followed[id] = _Followed()
            followed.bells.add(bell)
        if is_first:
            self._begin(id, followed)

    def _leave(self, id: str, bell: Bell) -> None:
        end = None
        with self._lock:
            followed = self._followed.get(id)
            if followed is None:
                return
            followed.bells.discard(bell)
            if not followed.bells:
                del self._followed[id]
                end, followed.end = followed.end, None
        # Without the lock: it waits for a callback, which needs that.
        if end is not None:
            end()

    def _begin(self, id: str, followed: _Followed) -> None:
        end = None
        with suppress(DataError):
            end = follow_events(self._manager, id, lambda: self._ring(id, followed))
        with self._lock:
            if followed.bells:
                followed.end, end = end, None
        if end is not None:
            end()

    def _ring(self, id: str, followed: _Followed) -> None:
        with self._lock:
            bells, reads = list(followed.bells), self._reads.get(id)
        if reads is not None:
            reads.forget()
        for bell in bells:
            bell.ring()

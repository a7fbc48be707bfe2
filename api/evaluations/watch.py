"""Who follows which evaluation: one subscription for each evaluation, whose followers share it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from threading import Lock

from api.http.live import Bell
from database import ConnectionManager
from database import DataError
from database.core.lifecycle import rebuild_after_fork
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

    All subscriptions share one reader of the change feed. Where there is none, or while it fails, followers look for
    themselves at each heartbeat.
    """

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._create_runtime_state()
        rebuild_after_fork(self, Watch._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._lock = Lock()
        self._followed: dict[str, _Followed] = {}

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
            end = follow_events(self._manager, id, lambda: self._ring(followed))
        with self._lock:
            if followed.bells:
                followed.end, end = end, None
        if end is not None:
            end()

    def _ring(self, followed: _Followed) -> None:
        with self._lock:
            bells = list(followed.bells)
        for bell in bells:
            bell.ring()

"""The threads that all subscriptions on an adapter share."""

from __future__ import annotations

import logging
from collections import deque
from threading import Condition
from threading import Lock
from threading import Thread
from threading import current_thread
from typing import Final
from typing import Protocol

from database.core.lifecycle import in_background

logger = logging.getLogger(__name__)

MOST_THREADS: Final = 16
"""How many members are served at a time: so many slow callbacks delay only themselves."""


class Member(Protocol):
    """What a crew serves."""

    def serve(self) -> None:
        """Do the work that is due."""


class Crew:
    """Serves its members in up to :data:`MOST_THREADS` daemon threads, each member in one thread at a time.

    A thread is started when work is due and none is free. All end when the last member leaves.

    :param name: the threads' name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        lock = Lock()
        self._work_is_due = Condition(lock)
        self._work_is_done = Condition(lock)
        self._members: set[Member] = set()
        # In the queue; waiting members are served once more, also those that are being served now.
        self._queue: deque[Member] = deque()
        self._waiting: set[Member] = set()
        self._served: dict[Member, Thread] = {}
        self._threads: set[Thread] = set()

    def join(self, member: Member) -> None:
        """Add a member, and serve it soon."""
        with self._work_is_due:
            self._members.add(member)
            self._call(member)

    def call(self, member: Member) -> None:
        """Serve a member soon: once for all calls until then, and once more if it is being served now."""
        with self._work_is_due:
            if member in self._members and member not in self._waiting:
                self._call(member)

    def leave(self, member: Member) -> None:
        """Remove a member. Waits until it is no longer served, unless the one that serves it is the caller."""
        with self._work_is_done:
            self._members.discard(member)
            self._waiting.discard(member)
            self._work_is_done.wait_for(lambda: self._served.get(member) in {None, current_thread()})
            over = set() if self._members else self._dismiss()
        for thread in over:
            thread.join()

    def _call(self, member: Member) -> None:
        self._waiting.add(member)
        if member not in self._served:
            self._enqueue(member)

    def _enqueue(self, member: Member) -> None:
        self._queue.append(member)
        free = self._threads.difference(self._served.values())
        if len(free) < len(self._queue) and len(self._threads) < MOST_THREADS:
            # It waits for the lock, and so finds itself among the threads.
            self._threads.add(in_background(self._name, self._work))
        self._work_is_due.notify()

    def _dismiss(self) -> set[Thread]:
        """Let all threads end. Later members get new ones, so that nobody waits for a thread that goes on.

        :returns: the idle threads. Who has left while being served is still at work, for as long as that takes.
        """
        idle = self._threads.difference(self._served.values())
        self._threads = set()
        self._work_is_due.notify_all()
        return idle

    def _work(self) -> None:
        while (member := self._next()) is not None:
            try:
                member.serve()
            except Exception:
                logger.exception("%s could not serve a member, which stays one", self._name)
            finally:
                self._put_back(member)

    def _next(self) -> Member | None:
        """The next member to serve; None if the thread is to end."""
        thread = current_thread()
        with self._work_is_due:
            while thread in self._threads:
                while self._queue:
                    member = self._queue.popleft()
                    # Who has left meanwhile does not wait any longer.
                    if member in self._waiting:
                        self._waiting.remove(member)
                        self._served[member] = thread
                        return member
                self._work_is_due.wait()
        return None

    def _put_back(self, member: Member) -> None:
        with self._work_is_done:
            del self._served[member]
            if member in self._waiting:
                self._enqueue(member)
            self._work_is_done.notify_all()

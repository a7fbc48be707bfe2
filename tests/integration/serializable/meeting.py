"""How requests are brought to meet while both are under way, where the database lets them."""

from __future__ import annotations

from threading import Event

PATIENCE = 0.4  # seconds that a request waits for another one, which the database may be keeping


class Steps:
    """Places that requests come to, and wait for others to have come to.

    A view that is carried out anew finds everything as it left it, and waits no more.
    """

    def __init__(self) -> None:
        self._reached: dict[str, Event] = {}

    def reach(self, place: str) -> None:
        """Let those go on that wait for this place."""
        self._of(place).set()

    def wait(self, place: str) -> None:
        """Wait for somebody to reach the place, but not for long, and not twice."""
        self._of(place).wait(PATIENCE)
        self._of(place).set()

    def _of(self, place: str) -> Event:
        return self._reached.setdefault(place, Event())

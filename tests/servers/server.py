"""What the servers of the tests have in common."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from typing import Self

from tests.servers.process import ServerFailed


class Server(ABC):
    """A server that runs during a ``with`` block."""

    def __enter__(self) -> Self:
        """Start it. :raises ServerFailed: it does not answer; the message has what it said instead."""
        try:
            self.start()
        except ServerFailed:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers. :raises ServerFailed: it does not."""

    @abstractmethod
    def close(self) -> None:
        """End it for good."""

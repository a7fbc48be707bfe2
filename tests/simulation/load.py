"""Clients that create records all the time and remember every answer."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from threading import Condition
from threading import Event
from threading import Thread
from time import monotonic
from typing import Any
from typing import Self
from uuid import uuid4

import httpx

CLIENTS = 8
PATIENCE = 60.0  # seconds after which a client gives up and the test fails
PAUSE = 0.02  # seconds between the repetitions of a request


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got for one request.

    :ivar client: from 0 to ``CLIENTS`` - 1.
    :ivar name: of the record that it wanted to create.
    :ivar status: 0 if there was no answer.
    :ivar seconds: how long it took.
    """

    client: int
    name: str
    status: int
    seconds: float
    media_type: str = ""
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def acknowledged(self) -> bool:
        """Whether the record was said to be created."""
        return self.status == 201

    @property
    def unknown(self) -> bool:
        """Whether the record was said to be created perhaps."""
        return self.document.get("outcome") == "unknown"


class Clients(ABC):
    """Threads that work as long as the block lasts."""

    def __init__(self) -> None:
        self._ending = Event()
        self._threads = [Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)

    @abstractmethod
    def _work(self, number: int) -> None:
        """What each of them does until ``_ending`` is set."""


class Load(Clients):
    """Clients that create records.

    :param repeating: send an ``Idempotency-Key`` with each record, and repeat with the same one until it is
        acknowledged. Otherwise every record is sent once.
    """

    def __init__(self, url: str, token: str, *, repeating: bool) -> None:
        super().__init__()
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._repeating = repeating
        self._changed = Condition()
        self._answers: list[Answer] = []

    @property
    def answers(self) -> Sequence[Answer]:
        """All answers so far, in the order in which they came."""
        with self._changed:
            return tuple(self._answers)

    def wait_for_all(self, wanted: Callable[[Answer], bool], count: int = 1) -> None:
        """Wait until from now on every client has got so many answers of a kind."""

        def come(answers: Sequence[Answer]) -> bool:
            clients = [answer.client for answer in answers if wanted(answer)]
            return all(clients.count(client) >= count for client in range(CLIENTS))

        self._wait_until(come)

    def wait_for_one(self, wanted: Callable[[Answer], bool]) -> None:
        """Wait until from now on some client has got an answer of a kind."""
        self._wait_until(lambda answers: any(map(wanted, answers)))

    def _wait_until(self, come: Callable[[Sequence[Answer]], bool]) -> None:
        with self._changed:
            begin = len(self._answers)
            in_time = self._changed.wait_for(lambda: come(self._answers[begin:]), PATIENCE)
        assert in_time, "the clients did not get what they were to get"

    def _work(self, number: int) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=PATIENCE) as client:
            while not self._ending.is_set():
                self._create_one(number, client)

    def _create_one(self, number: int, client: httpx.Client) -> None:
        name = str(uuid4())
        until = monotonic() + PATIENCE
        while not self._ask(number, client, name).acknowledged and self._repeating and monotonic() < until:
            Event().wait(PAUSE)

    def _ask(self, number: int, client: httpx.Client, name: str) -> Answer:
        headers = {"Idempotency-Key": name} if self._repeating else {}
        began = monotonic()
        try:
            response = client.post("/api/molecules", json={"name": name}, headers=headers)
        except httpx.TransportError:
            answer = Answer(number, name, 0, monotonic() - began)
        else:
            media_type = response.headers.get("Content-Type", "")
            document = response.json() if media_type.endswith("json") else {}
            seconds = monotonic() - began
            answer = Answer(number, name, response.status_code, seconds, media_type, response.headers, document)
        with self._changed:
            self._answers.append(answer)
            self._changed.notify_all()
        return answer

"""A calendar that is booked over HTTP: the overlap is looked for and the booking made in one request."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from flask import request

from database.connection_manager import ConnectionManager
from database.flask_scope import transactional
from database.resilience.repetition import ATTEMPTS
from tests.contract.tables import thing
from tests.integration.serializable.conftest import CLIENTS
from tests.integration.serializable.conftest import Ask


def serve_calendar(app: Flask, manager: ConnectionManager) -> None:
    """Give the app a view that books a slot: 201, or 422 if it is taken."""

    @app.post("/book")
    @transactional(attempts=ATTEMPTS)
    def book() -> tuple[str, int]:
        booking = request.get_json()
        start = booking["slot"] * 10
        overlaps = manager.table("things").eq("title", "doctor").gt("amount", start - 10).lt("amount", start + 10)
        if overlaps.execute().rows:
            return "taken", 422
        manager.table("things").insert(thing(booking["id"], title="doctor", amount=start)).execute()
        return "", 201


def book(ask: Ask, slots: list[int]) -> Counter[int]:
    """Book the slots, by eight clients at once; how often there was which status."""

    def client(number: int) -> list[int]:
        mine = list(enumerate(slots))[number::CLIENTS]
        return [ask("POST", "/book", json={"id": f"booking-{place}", "slot": slot}).status for place, slot in mine]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return Counter(status for some in pool.map(client, range(CLIENTS)) for status in some)

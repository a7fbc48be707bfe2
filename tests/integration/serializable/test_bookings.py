"""Bookings by eight clients at once.

On PostgreSQL all bookings read the same few pages, so that most of them are each other's conflict: they are carried
out anew until they succeed.
"""

from __future__ import annotations

import pytest
from flask import Flask

from database.connection_manager import ConnectionManager
from tests.integration.serializable.bookings import book
from tests.integration.serializable.bookings import serve_calendar
from tests.integration.serializable.conftest import Ask

SLOTS = 80

pytestmark = pytest.mark.parametrize("_backend", ["postgresql", "supabase_direct"], indirect=True)


def test_different_slots_are_all_booked(app: Flask, manager: ConnectionManager, ask: Ask) -> None:
    serve_calendar(app, manager)
    assert book(ask, list(range(SLOTS))) == {201: SLOTS}


def test_the_same_slot_is_booked_once(app: Flask, manager: ConnectionManager, ask: Ask) -> None:
    serve_calendar(app, manager)
    assert book(ask, [7] * SLOTS) == {201: 1, 422: SLOTS - 1}

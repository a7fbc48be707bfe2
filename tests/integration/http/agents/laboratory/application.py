"""A view that saves, and fails."""

from __future__ import annotations

from flask import Flask

from auth import jwt_required
from stores import current_agents


def init_app(app: Flask) -> None:
    """Register the view."""
    app.post("/failing")(jwt_required(failing))


def failing() -> tuple[str, int]:
    agents = current_agents()
    agents.save_state("failing", "s", {})
    agents.save_conversation("failing", {})
    assert agents.change_state("failing", "s", lambda present: {**(present or {}), "a": 1}) == {"a": 1}
    assert agents.get_state("failing", "s") == {"a": 1}
    return "", 409
